"""What surrounded two runs: each thing that differs is named, and nothing else.

Code: proof/environment_changes
"""

from __future__ import annotations

from typing import Any

import pytest

from resweep.proof.environment_changes import Change, Run, changes

GENERATED = {
    "python": {"version": "3.11.4", "implementation": "cpython"},
    "packages": {"torch": {"version": "2.0"}, "numpy": {"version": "1.26"}},
    "conda": {"mkl": {"version": "2023", "build": "h1"}},
}
RAN = {
    "machine": {"cpu": "Xeon", "cores": 8, "cores_usable": 4, "libc": "glibc 2.36", "memory_bytes": 10},
    "cards": [{"name": "H200"}],
    "variables": {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "3"},
    "libraries": {"torch": "2.0", "torch.threads": "1", "torch.cuda": "12.1"},
    "drift": [],
}
RECORD = {"host": "node1", "gpus": [], "leaked": [], "resumed": None, "data_changed": []}


def run(**changed: Any) -> Run:
    """A run of which something differs from the usual."""
    ran = {**RAN, **{key: value for key, value in changed.items() if key in RAN}}
    record = {**RECORD, **{key: value for key, value in changed.items() if key in RECORD}}
    return Run(record, ran, changed.get("generated", GENERATED), changed.get("data"))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"drift": [{"what": "torch", "before": "2.0", "after": "2.1"}]}, ("packages", "torch", "2.0", "2.1")),
        ({"drift": [{"what": "new", "before": None, "after": "1"}]}, ("packages", "new", None, "1")),
        ({"drift": [{"what": "numpy", "before": "1.26", "after": None}]}, ("packages", "numpy", "1.26", None)),
        (
            {"drift": [{"what": "python", "before": "3.11.4", "after": "3.12"}]},
            ("packages", "python", "3.11.4", "3.12"),
        ),
        (
            {"drift": [{"what": "conda mkl", "before": "2023 h1", "after": "2024 h0"}]},
            ("packages", "conda mkl", "2023 h1", "2024 h0"),
        ),
        ({"drift": None}, ("packages", "packages", "known", "not known: no Python process reported")),
        ({"machine": {**RAN["machine"], "cpu": "EPYC"}}, ("machine", "CPU", "Xeon", "EPYC")),  # type: ignore[dict-item]
        ({"cards": [{"name": "A100"}]}, ("machine", "GPU", "H200", "A100")),
        ({"cards": []}, ("machine", "GPU", "H200", None)),
        ({"gpus": [{"name": "A100"}]}, ("machine", "GPU", "H200", "A100")),
        ({"host": "node2"}, ("machine", "host", "node1", "node2")),
        ({"variables": {"OMP_NUM_THREADS": "2"}}, ("threads", "OMP_NUM_THREADS", "1", "2")),
        (
            {"variables": {**RAN["variables"], "MKL_CBWR": "AVX2"}},  # type: ignore[dict-item]
            ("variables", "MKL_CBWR", None, "AVX2"),
        ),
        ({"libraries": {**RAN["libraries"], "torch.threads": "2"}}, ("threads", "torch.threads", "1", "2")),  # type: ignore[dict-item]
        (
            {"leaked": ["/p/qb/a.py"]},
            ("source", "/p/qb/a.py", "not loaded", "loaded from elsewhere than the trial"),
        ),
        ({"resumed": 1}, ("run", "training", "from its beginning", "went on with attempt 1")),
        ({"data_changed": ["d.json (changed)"]}, ("data", "d.json", "as fingerprinted", "changed")),
    ],
)
def test_each_difference_is_named_and_nothing_else(
    changed: dict[str, Any], expected: tuple[str, str, Any, Any]
) -> None:
    """Both ways round, and not at all where both are so."""
    assert changes(run(), run(**changed)) == [Change(*expected)]
    section, what, before, after = expected
    assert changes(run(**changed), run()) == [Change(section, what, after, before)]
    if section not in ("data", "source"):  # what ran on changed data, or leaked, is said even if both did
        assert changes(run(**changed), run(**changed)) == []


def test_another_card_of_the_same_kind_and_other_memory_say_nothing() -> None:
    """Neither which of eight cards it was, nor how many bytes the machine has."""
    other = {**RAN["machine"], "memory_bytes": 11}  # type: ignore[dict-item]
    assert changes(run(), run(machine=other, variables={"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "0"})) == []


def test_what_is_not_known_is_no_difference() -> None:
    """A trial of before, without environment.json, or one that failed to tell."""
    assert changes(Run(), run()) == []
    assert changes(run(), Run()) == []
    assert changes(Run(), Run()) == []
