"""`resweep reproduce`: the same to the bit, within the spread, or different, and why; nothing there is touched.

Code: proof/reproduce, proof/verdict, cli/reproduce
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from launched import Trial
from small_project import MAIN, SWEEP, Project, Result, interpreter

from resweep import layout as names

# what training may depend on beside its trial: the shift of its metric, and whether it works at all
LUCKY = MAIN.replace(
    'json.dump({"best_validation_accuracy": filled["lr"], "seed": filled["seed"]}, file)',
    """json.dump({"best_validation_accuracy": filled["lr"] + filled["seed"] + float(os.environ.get("SHIFT", 0)),
               "threads": os.environ["OMP_NUM_THREADS"], "duration": time.time(), **MORE}, file)
with open(os.path.join(conf["serialization_dir"], "best.th"), "w") as file:
    file.write(os.environ.get("WEIGHTS", "weights"))
if os.environ.get("BREAK"):
    raise SystemExit("broken")""",
).replace("import json,", "MORE = {}\nimport json,")


_RAN: list[Path] = []


@pytest.fixture
def lucky(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three repeats of two points, of which all have finished: run once for all tests."""
    if not _RAN:
        project.write({"qb/main.py": LUCKY, "config/rnn.toml": SWEEP.replace("[0.3, 0.4]", "[0.3]")})
        project.generate("--set", "n_trials=3", "--set", 'results.metric="best_validation_accuracy"').ok()
        project.resweep("run", "rnn").ok()
        _RAN.append(tmp_path_factory.mktemp("lucky") / "project")
        shutil.copytree(project.root, _RAN[0], symlinks=True)
    else:
        shutil.copytree(_RAN[0], project.root, symlinks=True, dirs_exist_ok=True)
    return project


def again(project: Project, *arguments: str, **environment: str) -> Result:
    """`resweep reproduce rnn#1`, or with other words."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return project.resweep("reproduce", *(arguments or ("rnn#1",)))


def verdict(project: Project, number: int = 1, trial: int = 1) -> dict[str, Any]:
    """The verdict of the Nth time that a trial was run again."""
    place = project.paths().place(project.entries()[trial - 1].name)
    found: dict[str, Any] = json.loads(Path(f"{place.output}.reproduced", str(number), "verdict.json").read_text())
    assert names.check_seal(found)
    return found


def test_the_same_is_identical_and_nothing_else_changes(lucky: Project) -> None:
    """Exit status 0, the verdict first, a file of it, and every other file and command as before."""
    before = lucky.tree()
    said = [lucky.resweep(word, "rnn").ok().out for word in ("status", "results", "verify")]
    lucky.resweep("pack", "rnn", "--outputs", "all", "-o", "../before.tar.gz").ok()
    result = again(lucky).ok()
    assert result.out.splitlines()[0] == (
        f"identical: rnn#1 {lucky.entries()[0].name}: 1 file of weights, 2 metrics, bit for bit"
    )
    assert len(result.out.splitlines()) == 2
    assert "1.reproduced" not in result.out
    home = f"model/generated/rnn/{lucky.entries()[0].name}.reproduced/"
    after = lucky.tree()
    assert {name: data for name, data in after.items() if not name.startswith(home)} == before
    made = {name.removeprefix(home) for name in after if name.startswith(home)}
    assert {"1/verdict.json", "1/log.txt", "1/record.json", "1/environment.json", "1/output/best.th"} <= made
    assert [lucky.resweep(word, "rnn").ok().out for word in ("status", "results", "verify")] == said
    lucky.resweep("pack", "rnn", "--outputs", "all", "-o", "../after.tar.gz").ok()
    parent = lucky.root.parent
    assert (parent / "before.tar.gz").read_bytes() == (parent / "after.tar.gz").read_bytes()
    lucky.resweep("clean", "rnn", "--failed", "--weights", "--keep-best", "0", "--yes")
    assert Path(lucky.root, home, "1/output/best.th").exists()
    found = verdict(lucky)
    assert (found["verdict"], found["changes"], found["ignored"]["metrics"]) == ("identical", [], ["duration"])
    assert json.loads((Path(lucky.root, home) / "1/record.json").read_text())["leaked"] == []


def test_each_time_has_a_directory_of_its_own(lucky: Project) -> None:
    """The second time is 2; --into DIR goes elsewhere; --json prints the file."""
    again(lucky).ok()
    assert ".reproduced/2/verdict.json" in again(lucky).ok().out
    result = again(lucky, "rnn#2", "--into", "../else where", "--json").ok()
    assert result.out == (lucky.root.parent / "else where" / "verdict.json").read_text()
    assert json.loads(result.out)["trial"] == 1


@pytest.mark.slow
def test_the_best_trial_is_found(lucky: Project) -> None:
    """--best NAME is the trial that results shows first."""
    result = again(lucky, "--best", "rnn").ok()
    assert result.out.startswith("identical: rnn#6 ")
    assert "best by best_validation_accuracy (1.2, mean of 3 repeats; this trial: 2.2)" in result.err


def test_a_shift_within_the_repeats_is_within_their_spread(lucky: Project) -> None:
    """Exit status 3, with the rule and the number of repeats."""
    result = again(lucky, SHIFT="0.5")
    assert result.status == 3
    assert result.out.startswith("within the spread: rnn#1 ")
    assert "within mean ± 2 sd of 3 repeats" in result.out.splitlines()[0]
    assert "best_validation_accuracy: 0.1 -> 0.6 (+0.5), of 3 repeats 1.1 ± 1\n" in result.out
    (metric,) = verdict(lucky)["metrics"]
    assert metric["spread"]["count"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("source", ["metrics.jsonl", "the log"])
def test_numbers_that_results_shows_are_held_against_the_repeats(project: Project, source: str) -> None:
    """Of a training without a metrics.json, too: what it logs, and what it prints."""
    ways = {
        "metrics.jsonl": """
with open(os.path.join(conf["serialization_dir"], "metrics.jsonl"), "w") as file:
    for step in (1, 2):
        value = step * (filled["seed"] + float(os.environ.get("SHIFT", 0)))
        file.write(json.dumps({"step": step, "acc": value}) + chr(10))
""",
        "the log": """
print("acc:", 2 * (filled["seed"] + float(os.environ.get("SHIFT", 0))))
with open(os.path.join(conf["serialization_dir"], "best.th"), "w") as file:
    file.write(os.environ.get("SHIFT", ""))
""",
    }
    project.write({"qb/main.py": MAIN[: MAIN.index("with open(os.path.join")] + ways[source]})
    project.write({"config/rnn.toml": SWEEP + "\n[results]\npattern = 'acc: (?P<acc>[0-9.]+)'\n"})
    project.generate("--set", "n_trials=3").ok()
    project.resweep("run", "rnn#1-3").ok()
    result = again(project, SHIFT="0.5")
    assert result.out.startswith("within the spread: rnn#1 ")
    assert result.out.splitlines()[1] == "  metric    acc: 0.0 -> 1.0 (+1), of 3 repeats 2 ± 2"
    (metric,) = verdict(project)["results"]
    assert (metric["key"], metric["after"], metric["spread"]["count"]) == ("acc", 1.0, 3)
    assert again(project, SHIFT="7").out.splitlines()[0].endswith("(acc outside of the spread)")


def test_a_shift_beyond_the_repeats_is_different(lucky: Project) -> None:
    """Exit status 1, metric by metric, and nothing known that explains it."""
    result = again(lucky, SHIFT="7", WEIGHTS="heavier")
    assert result.status == 1
    first, *rest = result.out.splitlines()
    assert first.startswith("different: rnn#1 ")
    assert first.endswith(": 1 metric, 2 files (best_validation_accuracy outside of the spread)")
    assert rest[0] == "  metric    best_validation_accuracy: 0.1 -> 7.1 (+7), of 3 repeats 1.1 ± 1"
    assert rest[1] == "  weights   best.th: changed"
    assert "nothing that is known explains it" in rest[2], rest[2:]


@pytest.mark.slow
def test_without_three_repeats_there_is_no_spread(project: Project) -> None:
    """The same shift is different, and the reason is said."""
    project.write({"qb/main.py": LUCKY})
    project.generate("--set", "n_trials=2").ok()
    project.resweep("run", "rnn").ok()
    result = again(project, SHIFT="0.5")
    assert result.status == 1
    assert "(no spread to judge by: it needs 3 finished trials of this point, found 2)" in result.out


def test_other_weights_with_the_same_metrics_are_within_the_spread(lucky: Project) -> None:
    """The metrics say that nothing came of it."""
    result = again(lucky, WEIGHTS="heavier")
    assert result.status == 3
    assert "every metric is the same, not every file" in result.out
    lucky.generate("--set", "n_trials=3", "--set", 'results.ignore=["*.th"]').ok()
    assert "identical" in again(lucky, WEIGHTS="heavier").ok().out


@pytest.mark.slow
def test_what_the_sweep_ignores_is_not_compared(lucky: Project) -> None:
    """[results] ignore names metrics, too, and changes no trial."""
    result = lucky.generate("--set", "n_trials=3", "--set", 'results.ignore=["best_*", "*.th"]').ok()
    assert "0 new trials, 6 kept" in result.out
    assert "identical: " in again(lucky, SHIFT="7", WEIGHTS="heavier").ok().out


def test_a_trial_that_is_not_what_was_written_is_refused(lucky: Project) -> None:
    """What differs is named, and --unverified goes on; the thread count that its manifest says now is the cause."""
    mine = Trial(lucky)
    text = (mine.capsule / "manifest.json").read_text()
    mine.damage("manifest.json", text.replace('"threads": 1', '"threads": 2'))
    result = again(lucky)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "is not what was written: manifest.json changed" in result.err
    assert not Path(f"{mine.place.output}.reproduced").exists()
    result = again(lucky, "rnn#1", "--unverified")
    assert result.status == 1
    assert "  metric    threads: 1 -> 2\n" in result.out
    assert "  trial     manifest.json changed" in result.out
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert f"    threads   {name}: 1 -> 2\n" in result.out


def test_a_trial_that_has_not_finished_is_refused(swept: Project) -> None:
    """There is nothing to compare with: one line."""
    result = again(swept)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "queued, expected a trial that has finished" in result.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [[], ["rnn#1", "--best", "rnn"], ["rnn"], ["nope"], ["rnn#1", "--into", "pyproject.toml"]]
)
def test_a_mistake_is_one_line_and_starts_nothing(lucky: Project, words: list[str]) -> None:
    """Status 2, and no file is made."""
    before = lucky.tree()
    result = lucky.resweep("reproduce", *words)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert lucky.tree() == before


@pytest.mark.parametrize("where", ["capsule", "output", "attempts", "full"])
def test_nothing_that_is_there_is_written_into(lucky: Project, where: str) -> None:
    """--into a capsule, an output, the attempts, or a directory with something in it is refused."""
    place = lucky.paths().place(lucky.entries()[0].name)
    full = lucky.root / "qb"
    target = {"capsule": place.capsule, "output": place.output, "attempts": place.attempts, "full": full}[where]
    before = lucky.tree()
    result = again(lucky, "rnn#1", "--into", str(target) + ("" if where == "full" else "/new"))
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert lucky.tree() == before


def test_a_training_that_fails_is_not_compared(lucky: Project) -> None:
    """Exit status 2, with the log's path, and a verdict that says so."""
    result = again(lucky, BREAK="1")
    assert result.status == 2
    assert result.out.startswith("not compared: rnn#1 ")
    assert "failed after" in result.out
    assert verdict(lucky)["verdict"] == "not compared"
    assert again(lucky).status == 0


def test_cleaned_weights_are_not_there_to_compare(lucky: Project) -> None:
    """The metrics are compared, and what is missing is said."""
    os.unlink(Path(lucky.paths().place(lucky.entries()[0].name).output, "best.th"))
    result = again(lucky).ok()
    assert "identical: rnn#1 " in result.out
    assert "  not compared  the weights are not there to compare: best.th\n" in result.out
    assert verdict(lucky)["files"]["best.th"] == {"is": "not there to compare", "kind": "weights"}


@pytest.mark.slow
@pytest.mark.parametrize("outputs", ["metrics", "all"])
def test_what_was_unpacked_reproduces(lucky: Project, outputs: str) -> None:
    """On another path with a space in it, with and without the weights; without outputs there is nothing to hold."""
    lucky.resweep("pack", "rnn", "--outputs", outputs, "-o", "../a.tar.gz").ok()
    there = Project.__new__(Project)
    there.root = lucky.root.parent / "an other place"  # type: ignore[misc]
    lucky.resweep("unpack", "../a.tar.gz", str(there.root)).ok()
    result = again(there).ok()
    assert result.out.startswith("identical: rnn#1 ")
    assert ("not there to compare" in result.out) == (outputs == "metrics")
    assert again(there, SHIFT="0.5").status == 3


def test_without_outputs_there_is_nothing_to_compare_with(lucky: Project) -> None:
    """An archive of capsules alone knows of no trial that has finished."""
    lucky.resweep("pack", "rnn", "--outputs", "none", "-o", "../a.tar.gz").ok()
    there = Project.__new__(Project)
    there.root = lucky.root.parent / "there"  # type: ignore[misc]
    lucky.resweep("unpack", "../a.tar.gz", str(there.root)).ok()
    assert "queued, expected a trial that has finished" in again(there).err


@pytest.mark.slow
def test_changed_data_is_refused_and_named(project: Project) -> None:
    """Before hours are spent; allowed, it is the cause that the verdict names."""
    main = LUCKY.replace(
        "MORE = {}", 'MORE = {"data": open(__import__("os").environ["RESWEEP_DATA"] + "/d.json").read()}'
    )
    project.write({"qb/main.py": main, "d.json": "1", "config/rnn.toml": SWEEP + '\n[data]\nfiles = ["d.json"]\n'})
    project.generate().ok()
    project.resweep("run", "rnn#1").ok()
    again(project).ok()
    project.write({"d.json": "2"})
    result = again(project)
    assert (result.status, result.out) == (2, "")
    assert "the data changed since it was generated: d.json (changed); nothing was started" in result.err
    assert not Path(project.paths().place(project.entries()[0].name).output + ".reproduced", "2").exists()
    result = again(project, "rnn#1", "--allow-changed-data")
    assert result.status == 1
    assert "  metric    data: 1 -> 2\n" in result.out
    assert "    data      d.json: as fingerprinted -> changed\n" in result.out
    # generated again with the data as it is now, the trial is still held against what it ran on
    project.generate().ok()
    assert "d.json (changed)" in again(project).err
    elsewhere = project.root.parent / "data"
    elsewhere.mkdir()
    (elsewhere / "d.json").write_text("1")
    again(project, RESWEEP_DATA=str(elsewhere)).ok()


@pytest.mark.slow
def test_another_version_of_a_package_is_named(project: Project, tmp_path: Path) -> None:
    """The training runs under another interpreter, whose package gives another metric."""
    main = LUCKY.replace("MORE = {}", 'import tiny_pack\nMORE = {"tiny": tiny_pack.version}')
    project.write({"qb/main.py": main})
    one, two = (interpreter(tmp_path / version, version) for version in ("1.0", "2.0"))
    project.generate("--set", f'run.python="{one}"').ok()
    project.resweep("run", "rnn#1").ok()
    again(project).ok()
    result = again(project, RESWEEP_PYTHON=two)
    assert result.status == 1
    assert "  metric    tiny: 1.0 -> 2.0\n" in result.out
    assert "    packages  tiny-pack: 1.0 -> 2.0\n" in result.out


def test_a_module_from_elsewhere_is_named(lucky: Project) -> None:
    """The audit of the second run says what it loaded from the working tree."""
    mine = Trial(lucky, 2)
    live = f'cd "{lucky.root}"\nexec "${{RESWEEP_PYTHON}}" qb/main.py train "$2"\n'
    mine.change("train.sh", live)
    result = again(lucky, "rnn#2", "--unverified")
    head = f"not proven: rnn#2 {lucky.entries()[1].name}: "
    assert result.status == 4
    assert result.out.startswith(head)
    assert "bit for bit, but what ran was not the frozen code" in result.out.splitlines()[0]
    assert f"\n  leaked    qb/main.py was imported from {lucky.root}/qb/main.py, not from the trial\n" in result.out
    assert "  what was not the same:\n" in result.out
    line = f"source    {lucky.root}/qb/main.py: not loaded -> loaded from elsewhere than the trial"
    assert line in result.out
    assert verdict(lucky, trial=2)["leaked"] == [f"{lucky.root}/qb/main.py"]
    # where both runs did so, it is no difference, and said all the same
    finished = Path(mine.place.attempts, "finished")
    record = json.loads(finished.read_text()) | {"leaked": [f"{lucky.root}/qb/main.py"]}
    finished.unlink()
    finished.write_text(json.dumps(record))
    result = again(lucky, "rnn#2", "--unverified")
    assert result.out.startswith(head)
    assert "loaded from elsewhere" not in result.out


def test_a_cards_trial_gets_as_many_cards(lucky: Project, tmp_path: Path) -> None:
    """What a trial had, it has again; where none is free, nothing is started."""
    mine = Trial(lucky)
    finished = Path(mine.place.attempts, "finished")
    record = json.loads(finished.read_text()) | {"gpus": [{"index": 0, "uuid": "GPU-0", "name": "A100"}]}
    finished.unlink()
    finished.write_text(json.dumps(record))
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    path = f"{program.parent}:{os.environ['PATH']}"

    def cards(used: int) -> None:
        row = f"0, GPU-0, H200, {used}, 1000, 0"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in *driver*) echo "0, GPU-0, H200, 1000, 535";; *) echo "{row}";; esac\n'
        )
        program.chmod(0o755)

    cards(900)
    result = again(lucky, PATH=path, RESWEEP_TESTS="1")
    assert result.status == 2, result
    assert "1 GPUs, and so many are not free here" in result.err
    assert not (Path(mine.place.output + ".reproduced") / "1").exists()
    cards(0)
    result = again(lucky, PATH=path)
    assert "    machine   GPU: A100 -> H200\n" in result.ok().out
    assert os.environ.get("CUDA_VISIBLE_DEVICES") is None


# three epochs of plain torch, whose state says where the best weights lie and how long it took
PLAIN_TORCH = """\
import json, os, sys, time, tomllib
import torch

with open(sys.argv[2], "rb") as file:
    conf = tomllib.load(file)
with open(conf["allennlp_conf"]) as file:
    filled = json.load(file)
out = conf["serialization_dir"]
os.makedirs(out, exist_ok=True)
torch.manual_seed(filled["seed"])
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=filled["lr"] * float(os.environ.get("FASTER", 1)))
x = torch.randn(64, 4)
y = x.sum(dim=1, keepdim=True)
best = float("inf")
for epoch in range(3):
    loss = torch.nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if loss.item() < best:
        best = loss.item()
        torch.save(model.state_dict(), os.path.join(out, "best.pt"))
    trainer = {"best_model_filename": os.path.join(out, "best.pt"), "epoch": epoch, "train_time": time.time()}
    state = {"trainer": trainer, "optimizer": optimizer.state_dict(), "model": model.state_dict()}
    torch.save(state, os.path.join(out, f"state_{epoch}.pt"))
with open(os.path.join(out, "metrics.json"), "w") as file:
    json.dump({"loss": best}, file)
"""


@pytest.mark.slow
def test_states_of_plain_torch_are_identical_wherever_they_lie(project: Project) -> None:
    """What differs is named by its value: a learning rate, the optimizer's state and the weights."""
    project.write({"qb/main.py": PLAIN_TORCH, "config/rnn.toml": '[params]\nlr = 0.1\n[results]\nmetric = "loss"\n'})
    project.generate("--no-slurm-job").ok()
    project.resweep("run", "rnn").ok()
    said = again(project).ok().out
    assert said.startswith("identical: rnn#1 ")
    assert "  ignored   metadata of saved files: .data/serialization_id, trainer.train_time" in said
    other = again(project, FASTER="2")
    assert other.status == 1
    assert "state_0.pt: changed (optimizer.param_groups.0.lr: 0.1 -> 0.2; model.bias, model.weight)" in other.out
    (lr,) = [value for value in verdict(project, 2)["values"]["state_2.pt"] if value["key"].endswith(".lr")]
    assert lr == {"key": "optimizer.param_groups.0.lr", "before": "0.1", "after": "0.2", "bulk": False}
