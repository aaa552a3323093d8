"""`resweep status` of a search: how far it is, the best so far, and what it takes to matter.

Code: search/summary, cli/search_summary
"""

from __future__ import annotations

import json
import math
import subprocess
import sys

import optuna
import pytest
from searched import SEARCH, generated, opened_journal, told
from small_project import SWEEP, Project

from resweep.layout import SweepPaths
from resweep.search import summary
from resweep.search.journal import FROM, TRIAL


def believed(paths: SweepPaths) -> summary.Belief:
    """What is known of a search, which there is."""
    found = summary.believed(paths)
    assert found is not None
    return found


def test_a_search_that_nobody_has_begun_is_one_line_more(project: Project) -> None:
    """No journal is made by looking."""
    generated(project)
    before = project.tree()
    assert project.resweep("status", "rnn").ok().out.splitlines() == [
        "rnn: 0 trials",
        "  search   0 of 40 points (qmc): 0 finished, 0 pruned",
    ]
    assert project.tree() == before


def test_what_it_has_come_to_is_told(project: Project) -> None:
    """Points by what came of them, of which n counts two kinds; the best with its trial and values."""
    asked = generated(project)
    entries = told(project, asked, 3, lambda point: point["params.lr"])
    opened = opened_journal(project, asked).study
    for state in (optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL):
        trial = opened.ask()
        trial.set_user_attr(TRIAL, {"id": state.name})
        opened.tell(trial, state=state)
    opened.ask().set_user_attr(TRIAL, {"id": "y"})
    opened.add_trial(optuna.trial.create_trial(value=9.0, user_attrs={FROM: "dan#3"}))
    repeat = opened.ask()  # asked for once more: it counts once
    opened.tell(repeat, 99.0)
    best = max(entries, key=lambda entry: float(entry.swept["params.lr"]))
    before = project.tree()
    lines = project.resweep("status", "rnn").ok().out.splitlines()
    found = json.loads(project.resweep("status", "rnn", "--json").ok().out)["search"]
    assert project.tree() == before
    assert lines == [
        "rnn: 3 trials: 3 queued",
        "  search   4 of 40 points (qmc): 3 finished, 1 pruned, 1 begun by workers that have ended, 1 failed, "
        "1 given by other sweeps",
        f"  best     best_validation_accuracy {best.swept['params.lr']:.4g}  #{best.number} {best.name} "
        + best.described(),
    ]
    assert found == {
        "method": "qmc",
        "points": 40,
        "metric": "best_validation_accuracy",
        "mode": "max",
        "finished": 3,
        "pruned": 1,
        "diverged": 0,
        "failed": 1,
        "under_way": 0,
        "left": 1,
        "given": 1,
        "unheard": 0,
        "best": {
            "value": best.swept["params.lr"],
            "number": best.number,
            "id": best.id,
            "trial": 0,
            "swept": best.swept,
        },
        "importance": {},
        "end": None,
        "problem": None,
    }


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_matters_is_said_when_enough_has_finished(project: Project, mode: str) -> None:
    """By Optuna's own measure, which says what it answers; before, and where all are alike, nothing is believed."""
    asked = generated(project, SEARCH + f'mode = "{mode}"\n')
    sign = 1 if mode == "max" else -1
    told(project, asked, summary.ENOUGH - 1, lambda point: sign * -((point["params.lr"] - 0.3) ** 2))
    assert believed(project.paths()).importance == {}
    told(project, asked, 21, lambda point: sign * -((point["params.lr"] - 0.3) ** 2))
    found = believed(project.paths())
    assert found.best is not None
    assert abs(found.best) < 0.01
    assert list(found.importance) == ["params.lr", "params.dropout"]
    assert found.importance["params.lr"] > 0.6
    assert math.isclose(sum(found.importance.values()), 1)
    opened = opened_journal(project, asked).study
    whole = optuna.importance.get_param_importances(opened, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    assert found.importance == whole
    out = project.resweep("status", "rnn").ok().out
    assert f"  matters  params.lr {found.importance['params.lr']:.2f}" in out
    assert "for getting into the best tenth of 40 points" in out


@pytest.mark.slow
def test_points_that_are_all_as_good_say_nothing(project: Project) -> None:
    """A metric that never moves is no reason to believe anything."""
    told(project, generated(project), 25, lambda _: 0.5)
    assert believed(project.paths()).importance == {}


@pytest.mark.slow
def test_a_union_is_believed_in_too(project: Project) -> None:
    """Which table a point is of is one of the things that may matter."""
    text = SEARCH.replace("[hyper]", "[[hyper]]") + '[[hyper]]\n"params.lr" = { uniform = [0, 1] }\n'
    asked = generated(project, text)
    told(project, asked, 40, lambda point: ("params.dropout" in point) + 0.01 * point["params.lr"])
    assert {"[[hyper]]", "params.lr"} <= believed(project.paths()).importance.keys()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["torn", "garbage", "other", "empty", "table"])
def test_a_damaged_journal_is_one_line(project: Project, damage: str) -> None:
    """A torn last line is one that a worker writes just now; anything else is said, and the trials are shown."""
    told(project, generated(project), 3, lambda point: point["params.lr"])
    path = project.paths().study
    whole = path.read_bytes()
    texts = {
        "torn": whole + b'{"op_code":4,"wor',
        "garbage": b"\x00\xff\n" + whole,
        "other": whole + b'{"op_code":99}\n' + b"[]\n",
        "empty": b"",
        "table": b'{"op_code":5}\n',
    }
    path.write_bytes(texts[damage])
    before = project.tree()
    out = project.resweep("status", "rnn").ok().out
    assert project.tree() == before
    expected = {"torn": "3 of 40 points", "empty": "0 of 40 points"}.get(damage, "study.journal: cannot be read (")
    assert expected in out.splitlines()[1]
    assert out.startswith("rnn: 3 trials: 3 queued\n")


def test_a_grid_with_early_stopping_shows_what_was_pruned(project: Project) -> None:
    """Its points are known, so there is no n; orphans are left out; the study is that of the metric that judges."""
    asked = generated(project, SWEEP + '[results]\nmetric = "loss"\nmode = "min"\n[search.stop]\nmethod = "median"\n')
    entries = project.entries()
    opened = opened_journal(project, asked, "loss-1").study
    for entry, value in zip(entries, (0.3, 0.1, 0.2), strict=False):
        opened.add_trial(optuna.trial.create_trial(value=value, user_attrs={TRIAL: {"id": str(entry.name)}}))
    opened.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, user_attrs={TRIAL: {"id": "x/0"}}))
    name = str(entries[3].name)
    opened.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, user_attrs={TRIAL: {"id": name}}))
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out[1] == "  search   trials that do badly are stopped early: 3 finished, 1 pruned"
    assert out[2].startswith(f"  best     loss 0.1  #2 {entries[1].name} ")


@pytest.mark.slow
def test_a_sweep_without_a_search_does_not_import_optuna(swept: Project) -> None:
    """Nor does it ask for the library; importance leaves scikit-learn alone."""
    program = "import sys; from resweep.cli import main\ntry: main(['status', 'rnn'])\nexcept SystemExit: pass\n"
    program += "print(sorted({name.partition('.')[0] for name in sys.modules} & {'optuna', 'sklearn', 'scipy'}))"

    def loaded() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=swept.root, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()[-1]

    assert loaded() == "[]"
    told(swept, generated(swept), 25, lambda point: point["params.lr"])
    assert believed(swept.paths()).importance
    assert "sklearn" not in loaded()


@pytest.mark.slow
def test_importance_leaves_the_library_whole(project: Project) -> None:
    """Who uses Optuna's other measures in this process later gets them."""
    told(project, generated(project), 25, lambda point: point["params.lr"])
    program = (
        "import sys; from pathlib import Path\n"
        "from resweep.search import summary\n"
        "from resweep.layout import SweepPaths\n"
        "assert summary.believed(SweepPaths(Path('.'), 'rnn')).importance\n"
        "assert not [name for name in sys.modules if name.startswith('optuna.importance')]\n"
        "import optuna, sklearn.ensemble\n"
        "study = optuna.create_study()\n"
        "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=5)\n"
        "evaluator = optuna.importance.FanovaImportanceEvaluator(seed=1)\n"
        "assert optuna.importance.get_param_importances(study, evaluator=evaluator) == {'x': 1.0}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_status_without_optuna_names_the_extra(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that only looks; the trials are shown all the same."""
    told(project, generated(project), 2, lambda point: point["params.lr"])
    monkeypatch.setitem(sys.modules, "optuna", None)
    out = project.resweep("status", "rnn").ok().out.splitlines()
    assert out == [
        "rnn: 2 trials: 2 queued",
        "  search   search: needs Optuna, which is not installed: pip install 'resweep[search]'",
    ]
