"""jsonnet + arguments -> configurations.

Code: generation/template
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resweep.errors import TemplateError
from resweep.generation.template import CHUNK, FillError, Template

_json = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["$(touch pwned)", "`touch pwned`", "'\"", "\n@NAME@", "%(x)s %d", "|||", "\U0001f600\u2028\x7f"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _template(folder: Path, text: str) -> Template:
    path = folder / "base.jsonnet"
    path.write_text(text, "utf-8")
    return Template(path)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A template whose configuration is its argument."""
    return _template(tmp_path_factory.mktemp("echo"), "function(value) { value: value }")


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.lists(_json, min_size=1, max_size=5))
def test_every_value_arrives_unchanged(echo: Template, values: list[Any]) -> None:
    """Any value of [params] that JSON has reaches the configuration as it is, whatever characters it holds."""
    filled, _ = echo.fill([{"value": value} for value in values])
    assert [each["value"] for each in filled] == values


def test_more_configurations_than_one_evaluation_takes_come_in_order(echo: Template) -> None:
    """Several evaluations give one list, in the order that was asked for."""
    count = 2 * CHUNK + 1
    filled, _ = echo.fill([{"value": number} for number in range(count)])
    assert [each["value"] for each in filled] == list(range(count))


def test_optional_arguments_go_where_they_are_taken(tmp_path: Path) -> None:
    """Seeds are given to a function that takes them, and the others are left out."""
    template = _template(tmp_path, "function(lr, numpy_seed=7, random_seed=8) [lr, numpy_seed, random_seed]")
    arguments = [{"lr": 1, "numpy_seed": 2, "pytorch_seed": 3, "random_seed": 4}]
    filled, taken = template.fill(arguments, ["random_seed", "numpy_seed", "pytorch_seed"])
    assert filled == [[1, 2, 4]]
    assert taken == ["random_seed", "numpy_seed"]


def test_a_mistake_inside_the_function_is_not_taken_for_a_mistake_of_the_call(tmp_path: Path) -> None:
    """A function inside the template that lacks a parameter named like a seed is an error of the template."""
    template = _template(tmp_path, "local f(x) = x; function(random_seed=1) { y: f(random_seed=random_seed) }")
    with pytest.raises(FillError, match="has no parameter random_seed") as caught:
        template.fill([{"random_seed": 1}], ["random_seed"])
    assert "base.jsonnet:1" in caught.value.detail


@pytest.mark.slow
def test_the_first_configuration_that_fails_is_found(tmp_path: Path) -> None:
    """Among many configurations the error names the one that jsonnet refused."""
    template = _template(tmp_path, "function(lr) if lr == 37 then error 'no such rate' else lr")
    with pytest.raises(FillError, match="no such rate") as caught:
        template.fill([{"lr": number} for number in range(100)])
    assert caught.value.position == 37


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "x"]}', "{ a: [1, 2.5, null, 'x'] }"])
def test_a_plain_object_and_json_are_the_configuration_of_every_trial(tmp_path: Path, text: str) -> None:
    """A file that is no function takes nothing and is the same for all."""
    filled, taken = _template(tmp_path, text).fill([{}, {"random_seed": 1}], ["random_seed"])
    assert filled == [{"a": [1, 2.5, None, "x"]}] * 2
    assert taken == []


def test_imports_are_read_and_remembered_wherever_the_command_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports resolve beside the file that imports, and every file read is a source of the sweep."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.libsonnet").write_text("{ a: import 'b.libsonnet', text: importstr '../note.txt' }")
    (tmp_path / "lib/b.libsonnet").write_text("42")
    (tmp_path / "note.txt").write_text("a note")
    _template(tmp_path, "import 'lib/a.libsonnet'")
    monkeypatch.chdir(tmp_path / "lib")
    template = Template(Path("../base.jsonnet"))
    assert template.fill([{}])[0] == [{"a": 42, "text": "a note"}]
    names = [os.path.relpath(path, tmp_path) for path in template.sources]
    assert names == ["base.jsonnet", "lib/a.libsonnet", "lib/b.libsonnet", "note.txt"]


def test_evaluating_runs_no_code_and_reads_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration depends on the files and arguments alone, so that the same inputs give the same ids."""
    monkeypatch.setenv("lr", "1")
    with pytest.raises(TemplateError, match=r'std.extVar\("lr"\) is not set'):
        _template(tmp_path, "{ lr: std.extVar('lr') }").fill([{}])


@pytest.mark.parametrize("name", ["batch-size", "self", "a b", "", "1st", "ünder"])
def test_an_argument_that_jsonnet_cannot_have_is_refused(echo: Template, name: str) -> None:
    """A name that is no identifier, or a word of the language, is refused before it is read as code."""
    with pytest.raises(TemplateError, match="no name that a jsonnet function can have"):
        echo.fill([{name: 1}])


def test_an_error_of_jsonnet_keeps_its_trace_as_detail(tmp_path: Path) -> None:
    """The message is one line, the trace stands below it."""
    with pytest.raises(TemplateError) as caught:
        _template(tmp_path, "{\n  a: 1,\n  b c\n}").fill([{}])
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "base.jsonnet") in str(caught.value)
    assert ":3:5: " in str(caught.value)


def test_a_whole_number_stays_one_in_the_filled_json(echo: Template) -> None:
    """AllenNLP wants integers where it asks for them: 64 does not become 64.0."""
    filled, _ = echo.fill([{"value": [64, 2**53, 0.1, 1e-7]}])
    assert json.dumps(filled[0]["value"]) == "[64, 9007199254740992, 0.1, 1e-07]"
