"""What a job asks for and who says so: [slurm], profiles, a person's defaults, the site's script, sbatch's options.

Code: slurm/script, slurm/site, slurm/draft
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import on_slurm
import pytest
import running
from on_slurm import Cluster, jobs, runs, start, status, sweep
from small_project import REPOSITORY, Project

pytestmark = [pytest.mark.timeout(600)]

SCRIPT_2020 = """\
#!/bin/bash
#SBATCH --comment="of the site"
#SBATCH --time=00:07:00
cd $1
python qb/main.py train $2
"""


def job(cluster: Cluster, project: Project) -> dict[str, str]:
    """What Slurm knows of the last submitted job's options."""
    shown = cluster.ask("scontrol", "-o", "show", "job", jobs(project)[-1].id).splitlines()[0]
    return dict(word.split("=", 1) for word in shown.split() if "=" in word)


def test_a_profile_changes_the_partition_and_a_person_sees_the_profiles_there_are(
    slurm: Cluster, project: Project
) -> None:
    """--profile puts its options over [slurm]; one that does not exist is one line that names those that do."""
    table = 'partition = "gpu"\ntime = "00:09:00"\n[slurm.profiles.scavenger]\npartition = "scavenger"\nrequeue = true'
    sweep(project, 2, slurm=table)
    wrong = start(project, "--profile", "scav")
    assert wrong.status == 2
    assert len(wrong.err.splitlines()) == 1
    assert "scavenger" in wrong.err
    start(project, "--profile", "scavenger").ok()
    shown = job(slurm, project)
    assert (shown["Partition"], shown["TimeLimit"], shown["Requeue"]) == ("scavenger", "00:09:00", "1")
    slurm.drained()
    assert running.record(project, 1)["slurm"]["SLURM_JOB_PARTITION"] == "scavenger"


def test_a_profile_may_have_a_script_of_its_own(slurm: Cluster, project: Project) -> None:
    """[slurm.profiles.X] script replaces slurm-allennlp.sh, with its #SBATCH lines; the sweep keeps a copy."""
    script = (REPOSITORY / "slurm-allennlp.sh").read_text().replace("\n", "\n#SBATCH --comment=scav\n", 1)
    project.write({"slurm-scav.sh": script.replace("python=", 'echo scav >> "$1/../../../../../scripts"\npython=', 1)})
    sweep(project, 2, slurm='[slurm.profiles.scav]\nscript = "slurm-scav.sh"')
    start(project, "--profile", "scav").ok()
    assert job(slurm, project)["Comment"] == "scav"
    slurm.drained()
    assert running.lines(project, "scripts") == ["scav", "scav"]
    assert running.states(project) == ["finished", "finished"]
    assert (project.paths().submissions / "1" / "slurm-scav.sh").read_text() == (
        project.root / "slurm-scav.sh"
    ).read_text()


def test_the_defaults_of_a_person_apply_and_without_a_slurm_table_the_script_says_so(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """~/.config/resweep/slurm.toml stands below [slurm]; without either the site's own defaults are named."""
    sweep(project, 1)
    assert "no [slurm] table: the defaults are the site's own" in start(project, "--dry-run").ok().err
    own = tmp_path / "xdg" / "resweep" / "slurm.toml"
    own.parent.mkdir(parents=True)
    own.write_text('partition = "gpu"\ntime = "00:08:00"\n[profiles.late]\nbegin = "now+1"\n')
    said = start(project).ok().err
    assert "no [slurm] table" in said
    assert str(own) in said
    assert (job(slurm, project)["Partition"], job(slurm, project)["TimeLimit"]) == ("gpu", "00:08:00")
    slurm.drained()
    sweep(project, 2, slurm='time = "00:03:00"')
    assert "no [slurm] table" not in start(project, "--profile", "late").ok().err
    assert (job(slurm, project)["Partition"], job(slurm, project)["TimeLimit"]) == ("gpu", "00:03:00")
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]


@pytest.mark.parametrize("fails", [True, False])
def test_a_canary_that_fails_cancels_the_others_and_one_that_succeeds_lets_them_run(
    slurm: Cluster, project: Project, fails: bool
) -> None:
    """The rest depends on the first trial's success, and is cancelled by Slurm when that cannot come."""
    train = '[ "$n" != 0 ] || exit 3\n' + on_slurm.FAST if fails else on_slurm.FAST
    sweep(project, 4, train)
    assert "submitted job" in start(project, "--canary").ok().out
    slurm.drained()
    assert [each.array for each in jobs(project)] == [False, True]
    if fails:
        assert running.states(project) == ["failed", "queued", "queued", "queued"]
        assert running.attempts(project) == [1, 0, 0, 0]
        said = status(project)
        assert "1 failed, 3 queued" in said
        assert "the canary #1 failed, so 3 other trials were not started" in said
        assert "3 jobs were cancelled before they started" in said
        assert "an array of 4" in start(project).ok().out
        slurm.drained()
        assert running.attempts(project) == [2, 1, 1, 1]
    else:
        assert running.states(project) == ["finished"] * 4
        second = running.record(project, 2)
        assert second["started"] > running.record(project, 1)["ended"]
    assert runs(project) == ([1, 2, 3] if fails else [0, 1, 2, 3])


def test_a_dry_run_submits_nothing_and_prints_what_sbatch_would_take(slurm: Cluster, project: Project) -> None:
    """The printed line, pasted into bash, gives sbatch the very words of the submission that follows."""
    sweep(
        project, 3, slurm='comment = "two words, $(touch oops) \'quotes\'"\nparallel = 2\nmail-type = ["END", "FAIL"]'
    )
    before = slurm.queue("--states=all")
    dry = start(project, "--dry-run", "--nice=5").ok()
    assert "nothing was submitted" in dry.out
    assert slurm.queue("--states=all") == before
    assert not jobs(project)
    line = next(line for line in dry.out.splitlines() if line.startswith("sbatch "))
    words = 'sbatch() { printf "%s\\0" "$@"; }\n'
    typed = project.shell(words + line).ok().out.rstrip("\0").split("\0")
    options = typed[: next(n for n, word in enumerate(typed) if not word.startswith("-"))]
    assert "--array=1-3%2" in options
    slurm.ask("sbatch", *options, "--hold", REPOSITORY / "train.sh")  # accepted
    slurm.empty()
    start(project, "--nice=5").ok()
    shown = slurm.ask("scontrol", "-o", "show", "job", jobs(project)[-1].id)
    assert "Comment=two words, $(touch oops) 'quotes'" in shown
    assert "Nice=5" in shown
    assert not (project.root / "oops").exists()
    slurm.drained()
    assert running.states(project) == ["finished"] * 3


def test_one_job_per_trial_is_the_form_of_the_card(slurm: Cluster, project: Project) -> None:
    """Each trial is a job of its own, named after it, and finished trials are not submitted again."""
    sweep(project, 3)
    assert "submitted 3 jobs" in start(project, "--one-job-per-trial").ok().out
    names = slurm.ask("squeue", "-h", "--states=all", "-o", "%j").split()
    for entry in project.entries():
        assert f"{project.root.name.replace(' ', '_')}-rnn-{entry.id}-{entry.trial}" in names
    slurm.drained()
    assert len({running.record(project, n)["slurm"]["SLURM_JOB_ID"] for n in (1, 2, 3)}) == 3
    assert "SLURM_ARRAY_JOB_ID" not in running.record(project, 1)["slurm"]
    assert "nothing to submit" in start(project, "--one-job-per-trial").ok().out


def test_the_lines_of_the_sites_script_and_options_typed_are_honoured(slurm: Cluster, project: Project) -> None:
    """#SBATCH --comment, --cpus-per-task and --output of slurm-allennlp.sh hold; what is typed goes before all."""
    script = (REPOSITORY / "slurm-allennlp.sh").read_text()
    lines = "\n#SBATCH --comment='a site'\n#SBATCH -c 3\n#SBATCH --time=00:04:00\n#SBATCH -o printed-%a.txt\n"
    project.write({"slurm-allennlp.sh": script.replace("\n", lines, 1)})
    sweep(project, 2, 'echo "$SLURM_CPUS_PER_TASK" > "$root/cpus-$n"\n' + on_slurm.FAST, slurm='time = "00:05:00"')
    start(project, "--partition=gpu").ok()
    shown = slurm.ask("scontrol", "-o", "show", "job", jobs(project)[-1].id).splitlines()[0]
    assert "Comment=a site " in shown
    assert "TimeLimit=00:05:00" in shown, "[slurm] goes before the script"
    assert "Partition=gpu" in shown
    slurm.drained()
    assert (project.root / "cpus-0").read_text() == "3\n"
    assert (project.root / "printed-1.txt").exists()
    assert running.states(project) == ["finished", "finished"]


def test_fewer_cpus_than_threads_are_warned_of(slurm: Cluster, project: Project) -> None:
    """threads sets cpus-per-task; a smaller number that somebody wrote is kept, with a warning."""
    sweep(project, 1, 'echo "$SLURM_CPUS_PER_TASK $OMP_NUM_THREADS" > "$root/cpus"\n' + on_slurm.FAST, settings="")
    text = (project.root / "config/rnn.toml").read_text()
    project.write({"config/rnn.toml": "threads = 4\n" + text + "[slurm]\ncpus-per-task = 2\n"})
    project.generate("--slurm-job").ok()
    said = start(project).ok()
    assert "cpus-per-task=2 is less than the trials' 4 threads" in said.err
    slurm.drained()
    assert (project.root / "cpus").read_text() == "2 4\n"


def test_a_script_of_2020_that_trains_directly_leaves_a_true_record_and_log(slurm: Cluster, tmp_path: Path) -> None:
    """It knows nothing of the launcher; a success and a failure have their state, times, ids and log all the same."""
    project = Project(tmp_path)  # no space in its path: the script has no quotes
    project.write({"slurm-allennlp.sh": SCRIPT_2020})
    project.write(
        {"config/rnn.toml": '[hyper]\n"params.fail" = [false, true]\n[params]\nlr = 0.5\n[slurm]\nmem = "50M"'}
    )
    project.generate("--slurm-job").ok()
    start(project).ok()
    assert "Comment=of the site" in slurm.ask("scontrol", "-o", "show", "job", jobs(project)[-1].id)
    slurm.drained()
    assert running.states(project) == ["finished", "failed"]
    good, bad = running.record(project, 1), running.record(project, 2)
    assert (good["exit_status"], bad["exit_status"]) == (0, 1)
    for n, each in enumerate((good, bad), 1):
        assert each["slurm"]["SLURM_ARRAY_JOB_ID"] == jobs(project)[0].id
        assert each["seconds"] > 0
        assert "trains with" in running.log(project, n)
    assert "this trial fails" in running.log(project, 2)
    place = project.paths().place(project.entries()[0].name)
    assert json.loads(Path(place.output, "metrics.json").read_text())["best_validation_accuracy"] == 0.5


def test_a_script_that_fails_before_the_launcher_is_told_with_its_last_line(slurm: Cluster, project: Project) -> None:
    """There is no attempt: status says failed and why, and `resweep logs` prints what the job printed."""
    script = (REPOSITORY / "slurm-allennlp.sh").read_text()
    failing = script.replace("python=", 'echo "first line"; echo "no such module: cuda" >&2; exit 7\npython=', 1)
    project.write({"slurm-allennlp.sh": failing})
    sweep(project, 2)
    start(project).ok()
    slurm.drained()
    assert running.attempts(project) == [0, 0]
    said = status(project)
    assert "2 failed" in said
    assert "no such module: cuda" in said
    printed = project.shell("resweep logs 'rnn#1'").ok().out
    assert "first line" in printed
    assert "no such module: cuda" in printed
    project.write({"slurm-allennlp.sh": script})
    assert "an array of 2" in start(project).ok().out
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]


def test_setup_lines_run_before_the_script_and_one_that_fails_is_named(slurm: Cluster, project: Project) -> None:
    """Lines of [slurm] setup share one shell with the training's environment; a failing one ends the task by name."""
    train = 'echo "$FIRST $SECOND" > "$root/setup-$n"\n' + on_slurm.FAST
    sweep(project, 1, train, slurm="setup = [\"export FIRST='a b'\", 'export SECOND=\"$FIRST\"-c']")
    start(project).ok()
    slurm.drained()
    assert (project.root / "setup-0").read_text() == "a b a b-c\n"
    sweep(project, 2, train, slurm='setup = ["true", "loads no-such-module", "touch oops"]')
    start(project).ok()
    slurm.drained()
    said = status(project)
    assert "1 finished, 1 failed" in said
    assert "loads no-such-module" in said
    assert not (project.root / "oops").exists()


def test_without_resweep_on_the_path_every_trial_is_a_job_through_the_sites_script(
    slurm: Cluster, project: Project, tmp_path: Path
) -> None:
    """The jobs script alone submits the card's form: sbatch slurm-allennlp.sh CONF_DIR CONF_PATH."""
    sweep(project, 2, slurm='partition = "gpu"\ngres = "gpu:1"\ncomment = "two words, $(and) \'quotes\'"')
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "bash",
        "sbatch",
        "squeue",
        "grep",
        "wc",
        "dirname",
        "python3",
        "sed",
        "tail",
        "sort",
        "basename",
        "env",
        "sh",
    ):
        (folder / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
    done = start(project, "--one-job-per-trial", PATH=str(folder)).ok()
    assert done.out.count("Submitted batch job") == 2
    slurm.drained()
    assert running.states(project) == ["finished", "finished"]
    assert running.record(project, 1)["slurm"]["SLURM_JOB_PARTITION"] == "gpu"
    assert "2 finished" in status(project)


def test_what_the_command_line_asks_for_is_what_is_told(slurm: Cluster, project: Project) -> None:
    """It goes before [slurm]: in the line that says what was submitted, and in what is said to never start."""
    sweep(project, 2, slurm='partition = "short"\ntime = "10:00"')
    assert "it would never start" in start(project, "--dry-run").err
    assert "it would never start" not in start(project, "--dry-run", "--partition=cpu").err
    said = start(project, "--partition=cpu", "--hold").ok().out
    assert "partition=cpu time=10:00" in said
    assert " hold)" in said


def test_a_dry_run_shows_what_waits_for_the_canary(slurm: Cluster, project: Project) -> None:
    """The commands that would be run, with the dependency, and as many workers as were asked for."""
    sweep(project, 6)
    canary, others = start(project, "--dry-run", "--canary", "--workers 2").ok().out.splitlines()[:2]
    assert "dependency" not in canary
    assert "--dependency=afterok:CANARY --kill-on-invalid-dep=yes" in others
    assert "--array=1-2" in others
    assert slurm.queue() == []
