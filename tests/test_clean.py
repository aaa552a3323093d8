"""`resweep clean`: what goes, what stays, and what is said of it.

Code: results/clean, cli/clean
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from launched import Trial, until
from small_project import SWEEP, Project

from resweep import index
from resweep.results import clean

METRIC = '[results]\nmetric = "best_validation_accuracy"\n'
# metrics in two kinds, logs, a TOML, two hard links of one file of weights, and one that lies deeper
TRAIN = """
mkdir -p "$out/deep/er"; cd "$out"
head -c 1000 /dev/zero > best.th; ln best.th model_state_e1.th
head -c 500 /dev/zero > model.tar.gz; head -c 20 /dev/zero > deep/er/x.ckpt
echo '{}' > metrics_epoch_0.json; echo '{}' > metrics.jsonl; echo > out.log; echo > deep/events.out.tfevents.1.host
echo > config.toml; echo words > deep/vocabulary
"""
FINISH = """echo '{"best_validation_accuracy": '$value'}' > metrics.json"""
WEIGHTS = {"best.th", "model_state_e1.th", "model.tar.gz", "deep/er/x.ckpt"}
STAYS = {
    "metrics_epoch_0.json", "metrics.jsonl", "metrics.json", "deep/events.out.tfevents.1.host", "out.log",
    "config.toml",
}  # fmt: skip


def run(project: Project, number: int, ending: str, value: float = 0.0) -> Trial:
    """A trial of the sweep, run to this ending."""
    trial = Trial(project, number)
    trial.train(TRAIN + f"value={value}; {FINISH}; {ending}")
    trial.launch()
    return trial


def files(directory: Path) -> set[str]:
    """The files below a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def others(project: Project) -> dict[str, bytes]:
    """Every file of the project but those of outputs."""
    return {k: v for k, v in project.tree().items() if not k.startswith("model/") or ".attempts/" in k}


@pytest.fixture
def ranked(project: Project) -> Project:
    """A sweep with a metric, whose four trials have finished with 0.1, 0.4, 0.3 and 0.2."""
    project.write({"config/rnn.toml": SWEEP + METRIC})
    project.begin("config/rnn.toml", "base.jsonnet", "rnn", "--no-slurm-job")
    for number, value in enumerate((0.1, 0.4, 0.3, 0.2), 1):
        run(project, number, "exit 0", value)
    return project


def with_weights(project: Project) -> list[int]:
    """The numbers of the trials that still have their weights."""
    return [n for n in (1, 2, 3, 4) if (Trial(project, n).output / "best.th").exists()]


def test_weights_of_finished_trials_go_and_all_else_stays(swept: Project) -> None:
    """--weights removes files of weights at any depth; every other file of the project is the same bytes as before."""
    done, failed = run(swept, 1, "exit 0"), run(swept, 2, "exit 1")
    before = swept.tree()
    result = swept.resweep("clean", "rnn", "--weights", "--yes").ok()
    after = swept.tree()
    prefix = f"model/generated/rnn/{done.name}/"
    also = f"model/generated/rnn/{done.name}.attempts/1/output/"  # the link that stays behind leads to the same
    gone = {key.removeprefix(also).removeprefix(prefix) for key in before.keys() - after.keys()}
    assert gone == WEIGHTS
    assert {key: before[key] for key in after} == after
    assert files(failed.directory() / "output") >= WEIGHTS
    assert result.out.splitlines()[-1] == "rnn: removed 4 files, 1.5 kB freed"


@pytest.mark.slow
def test_failed_outputs_go_but_for_metrics_logs_and_toml(swept: Project) -> None:
    """--failed removes what failed and stopped attempts left, apart from what says how they went."""
    done, failed = run(swept, 1, "exit 0"), run(swept, 2, "exit 1")
    stopped = run(swept, 3, "kill -TERM $PPID; sleep 600")
    assert (failed.state, stopped.state) == ("failed", "stopped")
    before = others(swept)
    result = swept.resweep("clean", "rnn", "--failed", "--yes").ok()
    assert files(done.output) >= WEIGHTS
    for trial in (failed, stopped):
        assert files(trial.directory() / "output") == STAYS
        assert not (trial.directory() / "output" / "deep" / "er").exists()
    kept = {k: v for k, v in before.items() if "/output/" not in k or f"{done.name}." in k or Path(k).name in {
        Path(name).name for name in STAYS}}  # fmt: skip
    assert others(swept) == kept
    assert "in 2 outputs of failed, stopped or lost attempts" in result.out
    assert [trial.state for trial in (done, failed, stopped)] == ["finished", "failed", "stopped"]


def test_an_output_in_which_nothing_is_kept_goes_whole(trial: Trial) -> None:
    """Empty directories do not stay behind, and the trial runs again."""
    trial.train('mkdir -p "$out/a/b"; echo > "$out/a/b/c"; exit 1')
    trial.launch()
    trial.project.resweep("clean", "rnn", "--failed", "--yes").ok()
    assert sorted(os.listdir(trial.directory())) == sorted(
        [f"{trial.name.id}.toml", "environment.json", "log.txt", "record.json"]
    )
    trial.train('mkdir -p "$out"')
    trial.launch().ok()


@pytest.mark.slow
def test_lost_attempts_and_earlier_failures_of_finished_trials_go(trial: Trial) -> None:
    """Each attempt is judged by itself: one whose launcher was killed, and one that failed before another finished."""
    for ending in ("exit 1", 'touch "$out/../ready"; sleep 600'):
        trial.train(TRAIN + ending)
        process = trial.start()
        if "sleep" in ending:
            until(lambda: (trial.directory(2) / "ready").exists())
            process.kill()
            os.killpg(trial.record(2)["group"], signal.SIGKILL)
        process.wait()
    until(lambda: trial.state == "lost")
    trial.train(TRAIN)
    trial.launch().ok()
    trial.project.resweep("clean", "rnn", "--failed", "--yes").ok()
    assert files(trial.directory(1) / "output") == files(trial.directory(2) / "output") == STAYS - {"metrics.json"}
    assert files(trial.output) >= WEIGHTS
    assert trial.state == "finished"


def test_a_running_trial_is_left_alone_and_named(trial: Trial) -> None:
    """Neither the output of a running attempt nor that of the failed one before it is touched."""
    trial.train(TRAIN + "exit 1")
    trial.launch()
    trial.train(TRAIN + 'touch "$out/../ready"; sleep 600')
    trial.start()
    until(lambda: (trial.directory(2) / "ready").exists())
    before = others(trial.project)
    result = trial.project.resweep("clean", "rnn", "--failed", "--weights", "--yes").ok()
    assert f"left     #1 {trial.name}: runs" in result.out
    assert result.out.splitlines()[-1] == "rnn: nothing to remove"
    assert others(trial.project) == before


def test_a_trial_on_which_a_command_runs_is_left_alone(swept: Project) -> None:
    """The weights that a command of `exec` may be reading stay."""
    done = run(swept, 1, "exit 0")
    command = [sys.executable, "-m", "resweep", "exec", "rnn#1", "--", "sh", "-c", "echo on; sleep 600"]
    with subprocess.Popen(command, cwd=swept.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.readline()
        result = swept.resweep("clean", "rnn", "--weights", "--yes").ok()
        process.terminate()
    assert "#1" in result.out
    assert "a command runs on it (exec-exec-1)" in result.out
    assert files(done.output) >= WEIGHTS
    assert "removed 4 files" in swept.resweep("clean", "rnn", "--weights", "--yes").ok().out


@pytest.mark.slow
def test_keep_best_spares_the_best_and_means_weights(ranked: Project) -> None:
    """--keep-best 2 removes the weights of all but the two best, and names those."""
    result = ranked.resweep("clean", "rnn", "--keep-best", "2", "--yes").ok()
    assert with_weights(ranked) == [2, 3]
    assert "kept     weights of the best by best_validation_accuracy (max): #2, #3" in result.out
    assert "in 2 finished trials" in result.out


@pytest.mark.slow
def test_keep_best_counts_the_whole_sweep_when_some_trials_are_cleaned(ranked: Project) -> None:
    """Among trials that are named, those stay that are among the sweep's best."""
    ranked.resweep("clean", "rnn", "rnn#3-4", "--weights", "--keep-best", "1", "--yes").ok()
    assert with_weights(ranked) == [1, 2]
    ranked.resweep("clean", "rnn", str(Trial(ranked, 2).name), "rnn#1", "--keep-best", "1", "--yes").ok()
    assert with_weights(ranked) == [2]


@pytest.mark.slow
def test_keep_best_leaves_a_trial_that_cannot_be_ranked(ranked: Project) -> None:
    """A trial whose metrics are gone may be the best: its weights stay, and it is named."""
    (Trial(ranked, 4).output / "metrics.json").unlink()
    result = ranked.resweep("clean", "rnn", "--keep-best", "1", "--yes").ok()
    assert with_weights(ranked) == [2, 4]
    assert "#4" in result.out
    assert "cannot be ranked" in result.out


@pytest.mark.slow
@pytest.mark.parametrize("value", ["Infinity", "NaN"])
def test_keep_best_keeps_nothing_that_diverged_in_place_of_a_result(ranked: Project, value: str) -> None:
    """A trial that diverged is not the best; where all of them did, nothing goes."""
    metrics = '{"best_validation_accuracy": ' + value + "}"
    (Trial(ranked, 1).output / "metrics.json").write_text(metrics)
    ranked.resweep("clean", "rnn", "--keep-best", "1", "--yes").ok()
    assert with_weights(ranked) == [2]
    for number in (2, 3, 4):
        (Trial(ranked, number).output / "metrics.json").write_text(metrics)
    refused = ranked.resweep("clean", "rnn", "--keep-best", "1", "--yes")
    assert (refused.status, with_weights(ranked)) == (2, [2])
    assert "as a finite number" in refused.err


@pytest.mark.slow
def test_keep_best_needs_a_metric_that_trials_have(swept: Project) -> None:
    """Without a metric, or with one that no trial has, --keep-best is one line, and nothing goes."""
    run(swept, 1, "exit 0")
    before = swept.tree()
    result = swept.resweep("clean", "rnn", "--keep-best", "1", "--yes")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "names no metric" in result.err
    assert swept.tree() == before
    swept.write({"config/rnn.toml": SWEEP + '[results]\nmetric = "bleu"\n'})
    swept.generate("--no-slurm-job").ok()
    result = swept.resweep("clean", "rnn", "--weights", "--keep-best", "1", "--yes")
    assert result.status == 2
    assert result.err == "resweep: --keep-best: no finished trial of rnn has bleu in its metrics as a finite number\n"
    assert with_weights(swept) == [1]


@pytest.mark.slow
def test_patterns_are_those_of_the_sweep(project: Project) -> None:
    """[results] weights says which files --weights means; one with a slash is held against the whole path."""
    project.write({"config/rnn.toml": SWEEP + '[results]\nweights = ["*vocab*", "deep/*.ckpt", "er/*", "metrics*"]\n'})
    project.generate("--no-slurm-job").ok()
    done = run(project, 1, "exit 0")
    before = files(done.output)
    project.resweep("clean", "rnn", "--weights", "--yes").ok()
    assert before - files(done.output) == {"deep/vocabulary", "deep/er/x.ckpt"}


@pytest.mark.parametrize("value", ['"*.th"', "[1]", '[""]', "{}"])
def test_patterns_that_are_no_texts_are_one_line(project: Project, value: str) -> None:
    """[results] weights takes a list of texts."""
    project.write({"config/rnn.toml": SWEEP + f"[results]\nweights = {value}\n"})
    result = project.generate()
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "results.weights: found" in result.err


def test_what_is_freed_counts_a_file_once_and_only_with_its_last_link(swept: Project) -> None:
    """Two links of a file free its bytes once; a file that is also linked from elsewhere frees nothing."""
    done = run(swept, 1, "exit 0")
    result = swept.resweep("clean", "rnn", "--weights", "--dry-run").ok()
    assert "weights  4 files, 1.5 kB, in 1 finished trial (" in result.out
    assert "in all   4 files, 1.5 kB; frees 1.5 kB\n" in result.out
    (swept.root / "mine.th").hardlink_to(done.output / "best.th")
    result = swept.resweep("clean", "rnn", "--weights", "--yes").ok()
    assert "in all   4 files, 1.5 kB; frees 520 bytes (1 also linked from elsewhere, which frees nothing)" in result.out
    assert result.out.splitlines()[-1] == "rnn: removed 4 files, 520 bytes freed"
    assert (swept.root / "mine.th").stat().st_size == 1000


def test_freed_adds_up_over_inodes() -> None:
    """Bytes count when as many links go as a file has."""
    one = [clean.File(name, 10, (1, 1), 2) for name in "ab"]
    other = clean.File("c", 7, (1, 2), 3)
    assert clean.freed([one[0], other]) == 0
    assert clean.freed([*one, other]) == 10
    assert clean.freed([]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["--failed", "--weights"])
def test_no_link_is_followed(swept: Project, tmp_path: Path, kind: str) -> None:
    """Files behind symbolic links, of a file, a directory or a whole output, are never touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("best.th", "x.th"):
        (outside / name).write_text("precious")
    link = f'ln -s "{outside}" "$out/link"; ln -s "{outside}/x.th" "$out/x.th"; '
    done, failed = run(swept, 1, link + "exit 0"), run(swept, 2, link + "exit 1")
    whole = run(swept, 3, "exit 0")
    whole.output.rename(outside / "whole")
    whole.output.symlink_to(outside / "whole")
    third = run(swept, 4, "exit 1")
    (third.directory() / "output").rename(outside / "third")
    (third.directory() / "output").symlink_to(outside / "third")
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    result = swept.resweep("clean", "rnn", kind, "--yes").ok()
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    if kind == "--weights":
        assert {"link", "x.th"} <= files(done.output) | {"link"}
        assert (done.output / "link").is_symlink()
        assert not (done.output / "best.th").exists()
        assert f"#3 {whole.name}: its output is a symbolic link" in result.out
    else:
        assert files(failed.directory() / "output") == STAYS


@pytest.mark.slow
def test_output_that_a_retry_goes_on_with_stays(project: Project) -> None:
    """Where failed attempts are resumed, the last output of an unfinished trial stays, and is named."""
    project.write({"config/rnn.toml": SWEEP + '[run]\non_retry = "resume"\n'})
    project.generate("--no-slurm-job").ok()
    trial = run(project, 1, "exit 1")
    result = project.resweep("clean", "rnn", "--failed", "--yes").ok()
    assert "a retry goes on with its last output" in result.out
    assert files(trial.directory() / "output") >= WEIGHTS


@pytest.mark.slow
def test_dry_run_only_says(ranked: Project) -> None:
    """--dry-run shows what would go, also with --yes, and removes nothing."""
    before = ranked.tree()
    result = ranked.resweep("clean", "rnn", "--weights", "--keep-best", "1", "--dry-run", "--yes").ok()
    assert "12 files" in result.out
    assert result.out.splitlines()[-1] == "rnn: nothing was removed (--dry-run)"
    assert ranked.tree() == before


def test_without_a_terminal_nothing_goes(swept: Project) -> None:
    """Where nobody can be asked, what would go is shown, one line says how to go on, and the status is 2."""
    run(swept, 1, "exit 0")
    before = swept.tree()
    result = swept.shell(f"{sys.executable} -m resweep clean rnn --weights")
    assert result.status == 2
    assert "4 files" in result.out
    assert result.err.count("\n") == 1
    assert "--yes" in result.err
    assert swept.tree() == before


def ask(project: Project, answer: str, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """`resweep clean rnn --weights` on a terminal, something that happens while it asks, and the answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "resweep", "clean", "rnn", "--weights"],
        cwd=project.root, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    said = b""
    while not said.endswith(b"[y/N]: "):
        chunk = os.read(process.stdout.fileno(), 1000)
        assert chunk, said
        said += chunk
    meanwhile()
    os.write(ours, f"{answer}\n".encode())
    said += process.communicate(timeout=300)[0]
    os.close(ours)
    os.close(theirs)
    return process.returncode, said.decode()


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False), ("", False)])
def test_a_person_is_asked(swept: Project, answer: str, gone: bool) -> None:
    """On a terminal a question comes first; only yes removes."""
    done = run(swept, 1, "exit 0")
    status, out = ask(swept, answer)
    assert status == 0
    assert ("nothing was removed" in out) is not gone
    assert (done.output / "best.th").exists() is not gone


@pytest.mark.slow
def test_what_changed_while_a_person_thought_is_looked_at_again(swept: Project) -> None:
    """A trial on which something runs by now is left alone, a file that has gone is no error, the rest goes."""
    first, second = run(swept, 1, "exit 0"), run(swept, 2, "exit 0")
    commands: list[subprocess.Popen[bytes]] = []

    def meanwhile() -> None:
        (second.output / "best.th").unlink()
        command = [sys.executable, "-m", "resweep", "exec", "rnn#1", "--", "sh", "-c", "echo on; sleep 600"]
        commands.append(subprocess.Popen(command, cwd=swept.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        assert commands[0].stdout
        commands[0].stdout.readline()

    status, out = ask(swept, "y", meanwhile)
    commands[0].terminate()
    commands[0].communicate(timeout=300)
    assert status == 0
    assert f"left     #1 {first.name}: a command runs on it" in out
    assert "removed 3 files" in out
    assert files(first.output) >= WEIGHTS


def test_what_cannot_be_removed_is_named(swept: Project) -> None:
    """What the disk refuses, here a directory that stands there by now, is named; the rest goes; the status is 1."""
    done = run(swept, 1, "exit 0")
    path = done.output / "model.tar.gz"
    status, out = ask(swept, "y", lambda: (path.unlink(), path.mkdir()))
    assert status == 1
    assert f"{path}: " in out
    assert "removed 3 files" in out
    assert "1 file could not be removed" in out
    assert files(done.output) & WEIGHTS == set()


def test_nothing_to_remove_is_one_line(swept: Project) -> None:
    """With nothing that can go, one line says so, and nobody is asked."""
    result = swept.resweep("clean", "rnn", "--failed", "--weights").ok()
    assert (result.out, result.err) == ("rnn: nothing to remove\n", "")
    done = run(swept, 1, "exit 0")
    swept.resweep("clean", "rnn", "--weights", "--yes").ok()
    assert swept.resweep("clean", "rnn", "--weights").ok().out == "rnn: nothing to remove\n"
    assert json.loads((done.output / "metrics.json").read_text()) == {"best_validation_accuracy": 0.0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnn"], "expected what to remove: --failed, --weights, --keep-best K, --reproduced or --orphans"),
        (["rnn", "--yes"], "expected what to remove"),
        (["nope", "--failed"], "found no such sweep"),
        (["rnn", "nope", "--failed"], "found no such sweep or trial"),
        (["rnn", "rnn#99", "--failed"], "has no trial number 99"),
        (["rnn#1", "rnn#2", "--failed"], "expected a sweep's name before its trials"),
        (["rnn", "dan#1", "--failed"], "belongs to the sweep dan"),
    ],
)
def test_bad_arguments_are_one_line(swept: Project, arguments: list[str], says: str) -> None:
    """What is missing or misspelt gives one line and status 2, and nothing goes."""
    if "dan#1" in arguments:
        swept.generate("--no-slurm-job", name="dan").ok()
    before = swept.tree()
    result = swept.resweep("clean", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1), result
    assert says in result.err
    assert swept.tree() == before


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_keep_best_takes_a_whole_number(swept: Project, value: str) -> None:
    """--keep-best of none, or of a word, is a mistake."""
    result = swept.resweep("clean", "rnn", "--keep-best", value)
    assert (result.status, result.out) == (2, "")
    assert "--keep-best" in result.err


def heavy(project: Project) -> set[int]:
    """The trials that have their weights, in the sweep or not."""
    paths = project.paths()
    return {e.number for e in index.read(paths).entries if Path(paths.place(e.name).output, "best.th").exists()}


@pytest.mark.slow
def test_weights_of_trials_that_left_the_sweep_are_told_and_go_when_asked(ranked: Project) -> None:
    """Orphans that have finished keep their weights unless --orphans says otherwise, and are never among the best."""
    ranked.write({"config/rnn.toml": SWEEP.replace("[0.1, 0.2]", "[0.1]") + METRIC})
    ranked.generate("--keep-finished", "--no-slurm-job").ok()
    left = {entry.number for entry in ranked.entries()}
    assert len(left) == 2
    said = ranked.resweep("clean", "rnn", "--keep-best", "1", "--dry-run").ok().out
    assert "besides, 8 files" in said
    assert "of 2 trials no longer in the sweep; --orphans takes them, too" in said
    assert heavy(ranked) == {1, 2, 3, 4}
    ranked.resweep("clean", "rnn", "--keep-best", "1", "--yes").ok()
    best = max(left, key=lambda number: (0.1, 0.4, 0.3, 0.2)[number - 1])
    assert heavy(ranked) == {best, *({1, 2, 3, 4} - left)}
    said = ranked.resweep("clean", "rnn", "--keep-best", "1", "--orphans", "--yes").ok().out
    assert "besides" not in said
    assert heavy(ranked) == {best}
    assert len(ranked.capsules()) == 4
    refused = ranked.resweep("clean", "rnn", "rnn#1", "--weights", "--orphans", "--yes")
    assert (refused.status, refused.err.count("\n")) == (2, 1)


def test_what_reproduce_ran_goes_and_its_verdict_stays(swept: Project) -> None:
    """--reproduced removes outputs of runs that were judged; verdict, record, log and metrics stay."""
    swept.resweep("run", "rnn#1").ok()
    swept.resweep("reproduce", "rnn#1").ok()
    home = Path(swept.paths().place(swept.entries()[0].name).output + ".reproduced")
    (home / "1" / "output" / "model.th").write_text("w" * 100)
    (home / "1" / "output" / "vocabulary").write_text("v")
    judged = home / "2"
    shutil.copytree(home / "1", judged)
    (judged / "verdict.json").unlink()
    before = {path for path in swept.tree() if ".reproduced/1/output/" not in path}
    said = swept.resweep("clean", "rnn", "--reproduced", "--yes").ok().out
    assert "reproduced 2 files" in said
    assert "in 1 output of what `reproduce` ran" in said
    assert ".reproduced/2 has no verdict yet" in said
    after = set(swept.tree())
    assert before <= after
    assert {path.rpartition("/")[2] for path in after - before} == {"metrics.json"}
    assert files(judged / "output") >= {"model.th", "vocabulary"}
    assert (home / "1" / "verdict.json").is_file()
    assert "nothing to remove" in swept.resweep("clean", "rnn", "--reproduced").ok().out
