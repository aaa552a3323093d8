"""A template that waits for its arguments fills what the template fills.

Code: search/prepared
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resweep.errors import TemplateError
from resweep.generation.template import Template
from resweep.search.prepared import Prepared

TEXT = """
function(x, text="", seed=0)
  { x: x, text: text + "\\u2028", twice: [x, x], none: null, tiny: -1.5e-7, empty: {}, seed: seed,
    [if text == "refused" then "wrong"]: error "it is refused" }
"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Template, Prepared]]:
    """The template, and the one that waits."""
    path = Path(tmp_path_factory.mktemp("a template") / "base.jsonnet")
    path.write_text(TEXT, "utf-8")
    template = Template(path)
    with contextlib.closing(Prepared(template, [{"x": 0, "text": "", "seed": 0}], ["seed", "other"])) as prepared:
        yield template, prepared


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(x=VALUES, text=WORDS)
def test_it_fills_what_the_template_fills(both: tuple[Template, Prepared], x: Any, text: str) -> None:
    """To the last digit and letter, and it takes the same seeds."""
    template, prepared = both
    arguments = [{"x": x, "text": text, "seed": 3, "other": 4}, {"x": 1, "text": "", "seed": 4, "other": 5}]
    found, expected = (each.fill(arguments, ["seed", "other"]) for each in (prepared, template))
    assert repr(found) == repr(expected)


@pytest.mark.slow
def test_what_the_template_refuses_is_refused_with_its_words(both: tuple[Template, Prepared]) -> None:
    """And the next point is filled as if nothing had been."""
    template, prepared = both
    refused = [{"x": 1, "text": "refused", "seed": 1}]
    with pytest.raises(TemplateError, match="it is refused"):
        prepared.fill(refused, ["seed", "other"])
    assert prepared.fill([{"x": 2, "text": "", "seed": 1}], ["seed", "other"])[0][0]["x"] == 2
    # names that nobody announced are the template's to refuse
    with pytest.raises(TemplateError, match="has no parameter unknown"):
        prepared.fill([{"x": 1, "text": "", "seed": 1, "unknown": 2}], ["seed", "other"])
    assert template.fill([{"x": 2}])[0][0]["x"] == 2


def test_without_the_one_who_waits_the_template_fills(both: tuple[Template, Prepared]) -> None:
    """Its process may be killed at any time."""
    template, _ = both
    prepared = Prepared(template, [{"x": 0, "text": "", "seed": 0}], ["seed", "other"])
    assert prepared._process is not None
    prepared._process.kill()
    prepared._process.wait()
    for _ in range(2):
        assert prepared.fill([{"x": 5, "text": "", "seed": 1}], ["seed", "other"])[0][0]["x"] == 5
    prepared.close()


def waiting(path: Path) -> tuple[Prepared, subprocess.Popen[str]]:
    """A prepared template, and the process that waits for its arguments."""
    path.write_text(TEXT, "utf-8")
    prepared = Prepared(Template(path), [{"x": 0, "text": "", "seed": 0}], ["seed", "other"])
    assert prepared._process is not None
    return prepared, prepared._process


def test_the_one_who_waits_ends_when_the_template_is_gone(tmp_path: Path) -> None:
    """It does not try again and again to read it."""
    prepared, process = waiting(tmp_path / "base.jsonnet")
    prepared.path.unlink()
    with contextlib.suppress(TemplateError):  # this one may have been prepared before
        prepared.fill([{"x": 5, "text": "", "seed": 1}], ["seed", "other"])
    assert process.wait(120) == 1
    prepared.close()


def test_the_one_who_waits_ends_where_nobody_closes_it(tmp_path: Path) -> None:
    """With the object, as after an error; not because a process that was forked meanwhile has let go of its copy."""
    prepared, process = waiting(tmp_path / "base.jsonnet")
    child = os.fork()
    if not child:
        del prepared
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert prepared.fill([{"x": 5, "text": "", "seed": 1}], ["seed", "other"])[0][0]["x"] == 5
    assert process.poll() is None
    del prepared
    gc.collect()
    assert process.poll() is not None
