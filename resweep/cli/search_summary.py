"""How a search is shown: points, the best one, and what matters; as lines and as fields of JSON."""

from __future__ import annotations

from collections.abc import Iterator

from resweep.errors import counted
from resweep.search.summary import Belief

MOST = 6  # parameters that are named
LEAST = 0.01  # of the importance, below which one is not


def lines(found: Belief, left: bool = False) -> Iterator[str]:
    """What `resweep status` says of a search below its first line; `left` says that no worker is at work."""
    if found.problem:
        yield f"search   {found.problem}"
        return
    yield f"search   {_points(found, left)}"
    if found.end is not None:
        yield f"         {found.end.said}"
    if found.unheard:
        said = f"{counted(found.unheard, 'point')} finished when run again by hand"
        yield f"         {said}; the next worker tells the search"
    if found.best is not None:
        trial = f"#{found.trial.number} {found.trial.name} {found.trial.described()}" if found.trial else ""
        yield f"best     {found.metric} {found.best:.4g}  {trial}".rstrip()
    if found.importance:
        shown = [f"{name} {share:.2f}" for name, share in found.importance.items() if share >= LEAST][:MOST]
        yield f"matters  {', '.join(shown)}"
        yield f"         for getting into the best tenth of {found.finished} points (Optuna's PED-ANOVA)"


def _points(found: Belief, left: bool) -> str:
    if found.wanted is None:
        said = f"trials that do badly are stopped early: {found.finished} finished, {found.pruned} pruned"
    else:
        said = f"{found.ended} of {found.wanted} points ({found.method}): "
        said += f"{found.finished} finished, {found.pruned} pruned"
    more = (
        (found.diverged, "diverged"),
        (found.begun, "begun by workers that have ended" if left else "under way"),
        (found.failed, "failed"),
        (found.given, "given by other sweeps"),
    )
    return ", ".join([said, *(f"{count} {what}" for count, what in more if count)])


def as_json(found: Belief, left: bool = False) -> dict[str, object]:
    """The same as fields."""
    trial = found.trial
    return {
        "method": found.method,
        "points": found.wanted,
        "metric": found.metric,
        "mode": found.mode,
        "finished": found.finished,
        "pruned": found.pruned,
        "diverged": found.diverged,
        "failed": found.failed,
        "under_way": 0 if left else found.begun,
        "left": found.begun if left else 0,
        "given": found.given,
        "unheard": found.unheard,
        "best": None
        if found.best is None
        else {
            "value": found.best,
            "number": trial.number if trial else None,
            "id": trial.id if trial else None,
            "trial": trial.trial if trial else None,
            "swept": trial.swept if trial else None,
        },
        "importance": found.importance,
        "end": {"reason": found.end.reason, "said": found.end.said} if found.end else None,
        "problem": found.problem or None,
    }
