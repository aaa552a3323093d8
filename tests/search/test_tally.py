"""The points of a search, counted from its journal as it grows.

Code: search/tally
"""

from __future__ import annotations

from typing import Any

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from resweep.search.journal import FROM, TRIAL
from resweep.search.tally import Tally, counts
from resweep.sweep import definition

ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(["a", "b", "c", "d", None])),
        st.tuples(st.just("given"), st.integers(0, 3)),
        st.tuples(st.just("tell"), st.tuples(st.integers(0, 9), st.sampled_from(ENDS), st.integers(0, 3))),
        st.just(("look", None)),
    ),
    max_size=40,
)


def asked(mode: str) -> definition.Sweep:
    """A search in this direction."""
    text = '[hyper]\n"params.x" = { uniform = [0, 1] }\n[search]\nmethod = "tpe"\nn = 9\n'
    return definition.parse(f'{text}[results]\nmetric = "v"\nmode = "{mode}"\n', "x.toml")


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, mode=st.sampled_from(["max", "min"]))
def test_looking_again_and_again_counts_what_one_look_at_the_end_does(steps: list[tuple[str, Any]], mode: str) -> None:
    """Points that are asked for, told, told again under another number, given by other sweeps, in any order."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    tally, running = Tally(asked(mode)), []
    for what, value in steps:
        if what == "ask":
            trial = study.ask()
            if value is not None:
                trial.set_user_attr(TRIAL, {"id": value})
            running.append(trial)
        elif what == "given":
            study.add_trial(optuna.trial.create_trial(value=float(value), user_attrs={FROM: "dan#1"}))
        elif what == "tell" and running:
            trial = running.pop(value[0] % len(running))
            study.tell(trial, float(value[2]) if value[1] is TrialState.COMPLETE else None, state=value[1])
        elif what == "look":
            tally.look(study.get_trials(deepcopy=False))
    trials = study.get_trials(deepcopy=False)
    tally.look(trials)
    ours = {each.user_attrs[TRIAL]["id"]: each for each in trials if TRIAL in each.user_attrs}
    assert {key: each.number for key, each in tally.points.items()} == {k: each.number for k, each in ours.items()}
    assert tally.ended == sum(map(counts, ours.values()))
    assert tally.pruned == sum(each.state is TrialState.PRUNED for each in ours.values())
    values = [each.value for each in ours.values() if each.state is TrialState.COMPLETE and each.value is not None]
    best = (max if mode == "max" else min)(values, default=None)
    assert (tally.best.value if tally.best else None) == best
    assert [each.number for each in tally.running(trials)] == [
        each.number for each in trials if not each.state.is_finished()
    ]
    whole = Tally(asked(mode), trials)
    assert (whole.ended, whole.pruned, whole.since_best()) == (tally.ended, tally.pruned, tally.since_best())
    assert whole.began == tally.began
    assert whole.best is tally.best is None or whole.best.number == tally.best.number
