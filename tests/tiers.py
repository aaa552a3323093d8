"""Which real part a test needs, which tests share a worker, and which begin first.

The marker of a real part follows from the fixture that starts it, so that no test can need one and not say so.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test depends on the speed of the machine: Hypothesis sets no time limit per example either.
settings.register_profile("no-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-clock")

# a fixture that starts a real part, and the marker of the tests that use it
STARTS = {
    "plain_cluster": "slurm",
    "accounting_cluster": "slurm",
    "forgetful_cluster": "slurm",
    "frail_cluster": "slurm",
    "kind_cluster": "slurm",
    "split_cluster": "slurm",
    "_east": "slurm",
    "_west": "slurm",
    "patient_cluster": "slurm",
    "chrome": "browser",
}
# clusters that are slow to start, or on which one submission serves several tests: one of each in a run
SHARED = (
    "accounting_cluster",
    "forgetful_cluster",
    "frail_cluster",
    "kind_cluster",
    "split_cluster",
    "patient_cluster",
)
# what takes minutes begins first, so that no worker is left with it at the end
FIRST = ("slurm", "allennlp", "slow", "browser")


def arrange(items: list[pytest.Item]) -> None:
    """Mark every test with the real part that it needs and with its group, and put the long ones first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for marker in {STARTS[name] for name in STARTS.keys() & fixtures}:
            item.add_marker(marker)
        if group := _group(item, fixtures):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_place)


def _group(item: pytest.Item, fixtures: set[str]) -> str | None:
    """The tests that run one after another on one worker: those of a shared cluster, or of what a file makes once."""
    for name in SHARED:
        if name in fixtures:
            return name
    if STARTS.keys() & fixtures or _makes_once(item):
        return Path(item.path).stem
    return None


def _makes_once(item: pytest.Item) -> bool:
    """Whether a fixture of the test's own file lives as long as the file."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs.values() if info else ()
    return any(each[-1].scope == "module" and each[-1].baseid == item.nodeid.partition("::")[0] for each in definitions)


def _place(item: pytest.Item) -> int:
    """The place of a test's kind in FIRST; behind them all for a quick test."""
    return next((n for n, marker in enumerate(FIRST) if item.get_closest_marker(marker)), len(FIRST))
