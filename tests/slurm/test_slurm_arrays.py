"""Trials as arrays on a real Slurm: one submission, a throttle, nothing twice, and nothing remapped.

Code: slurm/batches, slurm/submit, launcher/slurm_task
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, go, jobs, runs, start, status, sweep
from small_project import REPOSITORY, Project

pytestmark = [pytest.mark.timeout(600)]

CARD = ("config/rnn.toml", "rnn_model.jsonnet", "rnn")
QUICK = running.FIND + "sleep 0.1\n" + on_slurm.SCORE


def example(root: Path) -> Project:
    """The repository's own example, as a clone has it, but with three trials at a time."""
    root.mkdir(parents=True)
    for name in ("setup.py", "train.sh", "rnn_model.jsonnet", "slurm-allennlp.sh"):
        shutil.copy(REPOSITORY / name, root)
    shutil.copytree(REPOSITORY / "qb", root / "qb", ignore=shutil.ignore_patterns("__pycache__"))
    project = Project.__new__(Project)
    project.root = root
    config, count = re.subn("^parallel = .*", "parallel = 3", (REPOSITORY / CARD[0]).read_text(), flags=re.MULTILINE)
    assert count == 1
    return project.write({CARD[0]: config})


def test_the_72_trials_of_the_example_complete_through_one_array_on_the_gpu_partition_throttled(
    accounting: Cluster, tmp_path: Path
) -> None:
    """The real config, with a quick training, is one job; three trials run at a time, and never four."""
    project = example(tmp_path / "clone").write({"train.sh": QUICK})
    project.resweep(*CARD, "--slurm-job").ok()
    assert "an array of 72, 3 at a time" in start(project).ok().out
    (job,) = jobs(project)
    shown = accounting.ask("scontrol", "show", "job", job.id)
    assert "ArrayTaskThrottle=3" in shown
    assert "Partition=gpu" in shown
    assert "gres:gpu:1" in shown
    accounting.drained(120)
    records = [project.record(entry) for entry in project.entries()]
    assert {each["state"] for each in records} == {"finished"}
    ids = [each["slurm"] for each in records]
    assert {each["SLURM_ARRAY_JOB_ID"] for each in ids} == {job.id}
    assert [int(each["SLURM_ARRAY_TASK_ID"]) for each in ids] == list(range(1, 73))
    assert {each["SLURM_JOB_PARTITION"] for each in ids} == {"gpu"}
    assert on_slurm.overlap(records) == 3
    assert running.attempts(project) == [1] * 72
    assert "72 finished" in status(project)


@pytest.mark.slow
def test_a_trial_of_the_real_example_trains_as_a_job(slurm: Cluster, tmp_path: Path) -> None:
    """AllenNLP trains through the jobs script; output, log and Slurm's ids are where they belong."""
    project = example(tmp_path / "clone")
    one = ("lr=[0.003]", "dropout=[0.25]", "hidden_dim=[16]", "n_hidden_layers=[1]")
    sets = [word for each in one for word in ("--set", f"hyper.params.{each}")]
    project.resweep(*CARD, "--slurm-job", "--set", "params.debug=true", *sets).ok()
    start(project).ok()
    slurm.drained(180)
    (entry,) = project.entries()
    now = project.record(entry)
    assert now["state"] == "finished", Path(project.paths().place(entry.name).attempt(1), "log.txt").read_text()
    assert now["slurm"]["SLURM_JOB_PARTITION"] == "gpu"
    assert now["slurm"]["SLURM_ARRAY_JOB_ID"] == jobs(project)[0].id
    found = {path.name for path in Path(project.paths().place(entry.name).output).iterdir()}
    assert {"best.th", "metrics.json", "vocabulary"} <= found
    assert "best_validation_accuracy" in project.shell("resweep logs 'rnn#1'").ok().out


def test_submitting_again_submits_only_what_has_failed(slurm: Cluster, project: Project) -> None:
    """Ten of fifteen trials fail; the script started again submits ten, and then none."""
    sweep(project, 15, '[ -e "$root/mended" ] || [ "$n" -ge 10 ] || exit 3\n' + on_slurm.FAST)
    start(project).ok()
    slurm.drained()
    assert running.states(project) == ["failed"] * 10 + ["finished"] * 5
    (project.root / "mended").touch()
    again = start(project).ok()
    assert "10 trials to submit; 5 have finished" in again.out
    assert "an array of 10" in again.out
    slurm.drained()
    assert running.states(project) == ["finished"] * 15
    assert running.attempts(project) == [2] * 10 + [1] * 5
    assert runs(project) == list(range(15))
    assert "nothing to submit: 15 have finished" in start(project).ok().out
    assert on_slurm.tasks(project) == 25


def test_submitting_twice_at_once_submits_once(slurm: Cluster, project: Project) -> None:
    """Of two scripts started at the same moment one submits all trials, and the other says that they wait or run."""
    sweep(project, 6, on_slurm.WAIT)
    both = [
        subprocess.Popen(["bash", "rnn-jobs.sh"], cwd=project.root, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = "".join(process.communicate(timeout=300)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said.count("submitted job") == 1
    assert "nothing to submit" in said
    assert on_slurm.tasks(project) == 6
    go(project)
    slurm.drained()
    assert runs(project) == list(range(6))
    assert running.attempts(project) == [1] * 6


def test_generating_again_remaps_no_pending_task(slurm: Cluster, project: Project) -> None:
    """Values that come and go while tasks wait: each task still runs its own trial, and the new ones follow."""
    train = 'echo "$trial $SLURM_ARRAY_TASK_ID" >> "$root/ran"\n' + on_slurm.FAST

    def generate(rates: str) -> list[str]:
        text = f'[hyper]\n"params.lr" = {rates}\n[params]\nlr = 0.5\n[slurm]\nhold = true\n'
        project.write({"config/rnn.toml": text, "train.sh": running.FIND + train}).generate("--slurm-job").ok()
        return [f"{entry.id}-{entry.trial}" for entry in project.entries()]

    shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    first = generate("[0.1, 0.2, 0.3, 0.4]")
    start(project).ok()
    second = generate("[0.0, 0.4, 0.2, 0.9]")  # 0.0 and 0.9 come, 0.1 and 0.3 go, and the order is another
    assert "2 trials to submit; 2 wait in Slurm" in start(project).ok().out
    slurm.ask("scontrol", "release", *[job.id for job in jobs(project)])
    slurm.drained()
    expected = {(name, str(task)) for task, name in enumerate(first, 1)}
    expected |= {(name, str(task)) for task, name in enumerate([n for n in second if n not in first], 1)}
    assert {tuple(line.split()) for line in running.lines(project, "ran")} == expected
    assert len(running.lines(project, "ran")) == 6
    assert running.states(project) == ["finished"] * 4


@pytest.mark.parametrize("name", ['it\'s 100% "mine" $HOME', "a %j and %A_%a"])
def test_a_project_may_lie_at_any_path(slurm: Cluster, tmp_path: Path, name: str) -> None:
    """Spaces, quotes, a dollar sign and what sbatch replaces in file names are taken as they are."""
    root = tmp_path / name
    root.mkdir()
    project = sweep(Project(root), 3, '[ "$n" != 2 ] || exit 3\n' + on_slurm.FAST)
    start(project).ok()
    slurm.drained()
    assert running.states(project) == ["finished", "finished", "failed"], status(project)
    assert "1 failed" in status(project)
    start(project, "--one-job-per-trial").ok()
    slurm.drained()
    assert running.attempts(project) == [1, 1, 2]
    start(project, "--workers", "1").ok()
    slurm.drained()
    assert running.attempts(project) == [1, 1, 3]
    below = {path.name for path in tmp_path.iterdir()} - {"xdg", "xdg-site"}
    assert below == {name}, "Slurm's own output went elsewhere"
    assert not list(root.rglob("slurm-*.out"))


def test_equal_resources_share_an_array_and_others_have_their_own(slurm: Cluster, project: Project) -> None:
    """A swept number of threads makes two arrays, whose tasks have the cores that their trials ask for."""
    shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    text = 'threads = 1\n[hyper]\nthreads = [1, 3]\n"params.lr" = [0.1, 0.2]\n[params]\nlr = 0.5\n'
    train = 'echo "$SLURM_CPUS_PER_TASK $SRUN_CPUS_PER_TASK $OMP_NUM_THREADS" > "$root/cores-$trial"\n'
    project.write({"config/rnn.toml": text, "train.sh": running.FIND + train + on_slurm.FAST})
    project.generate("--slurm-job").ok()
    start(project).ok()
    slurm.drained()
    assert [job.last for job in jobs(project)] == [2, 2]
    for entry in project.entries():
        cores = (project.root / f"cores-{entry.id}-{entry.trial}").read_text().split()
        assert cores == [str(entry.swept["threads"])] * 3


def test_values_of_slurm_change_together_with_those_of_the_trial(slurm: Cluster, project: Project) -> None:
    """Zipped to a parameter they say what each of its trials asks for, and are no part of its id."""
    shutil.copy(REPOSITORY / "slurm-allennlp.sh", project.root)
    zipped = '"params.dropout, slurm.mem" = [[0.1, "100M"], [0.2, "300M"]]\n"params.lr" = [0.1, 0.2]\n'
    text = f'[hyper]\n{zipped}[params]\nlr = 0.5\n[slurm]\nmem = "50M"\n'
    train = 'echo "$SLURM_MEM_PER_NODE" > "$root/memory-$trial"\n'
    project.write({"config/rnn.toml": text, "train.sh": running.FIND + train + on_slurm.FAST})
    project.generate("--slurm-job").ok()
    ids = {entry.id for entry in project.entries()}
    assert start(project).ok().out.count("an array of 2") == 2
    slurm.drained()
    asked = {entry.swept["params.dropout"]: entry.swept["slurm.mem"] for entry in project.entries()}
    assert asked == {0.1: "100M", 0.2: "300M"}
    for entry in project.entries():
        memory = (project.root / f"memory-{entry.id}-{entry.trial}").read_text().strip()
        assert f"{memory}M" == entry.swept["slurm.mem"]
    project.write({"config/rnn.toml": text.replace("300M", "200M")})
    project.generate("--slurm-job").ok()
    assert {entry.id for entry in project.entries()} == ids
