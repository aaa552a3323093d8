"""Tests are found from the code, and the code from the tests.

Code: /tests/
"""

from __future__ import annotations

import ast
from pathlib import Path

from small_project import REPOSITORY

TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))
MODULES = sorted((REPOSITORY / "resweep").rglob("*.py"))


def named(test: Path) -> list[Path]:
    """The files and folders that the last line of a test module's docstring names.

    `plan, slurm/` are below resweep/, a module without its ending; `/qb/main.py` starts at the repository's root.
    """
    last = (ast.get_docstring(ast.parse(test.read_text("utf-8"))) or "").splitlines()[-1]
    assert last.startswith("Code: "), f"{test}: the docstring's last line names what is tested: Code: plan, slurm/draft"
    return [_path(name) for name in last.removeprefix("Code: ").split(", ")]


def _path(name: str) -> Path:
    if name.startswith("/"):
        return REPOSITORY / name[1:]
    return REPOSITORY / "resweep" / (name if name.endswith("/") else f"{name}.py")


def test_every_test_module_names_the_code_that_it_tests() -> None:
    """Whatever it names is there."""
    assert [f"{test}: {path}" for test in TESTS for path in named(test) if not path.exists()] == []


def test_every_module_is_named_by_a_test() -> None:
    """By itself or with its folder; a package's file without code need not be."""
    covered = {path for test in TESTS if test.name not in ("test_imports.py",) for path in named(test)}
    missing = [
        str(module.relative_to(REPOSITORY))
        for module in MODULES
        if not covered & {module, *module.parents} and len(ast.parse(module.read_text("utf-8")).body) > 1
    ]
    assert missing == []
