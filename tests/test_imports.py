"""What imports what, beside the order of the packages, which import-linter holds (pyproject.toml).

Code: /resweep/
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import REPOSITORY

PACKAGE = REPOSITORY / "resweep"
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
# the launcher, and what it carries: they run under whatever Python the training has
CARRIED = sorted(module for module in FILES if module.startswith("launcher.") and module != "launcher.bundle")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or in a function, `resweep.x` for a module of the tool."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.parent.name == "launcher", f"{path}: a relative import"
            module = node.module if not node.level else ".".join(filter(None, ("resweep.launcher", node.module)))
            names = {f"{module}.{alias.name}" for alias in node.names}
            own = {name for name in names if name.removeprefix("resweep.") in FILES and name.startswith("resweep.")}
            found |= own or {str(module)}
    return found


IMPORTS = {
    module: {name.removeprefix("resweep.") for name in imported(path) if name.startswith("resweep")}
    for module, path in FILES.items()
}


def knows(module: str) -> set[str]:
    """The packages that a module imports from."""
    return {name.partition(".")[0] for name in IMPORTS[module]}


def test_a_training_that_logs_a_line_loads_nothing_of_the_tool() -> None:
    """`resweep.log` is called in the training's own process."""
    assert not IMPORTS["results.log"]


def test_no_two_modules_need_each_other() -> None:
    """Imports form no circle."""
    order = list(graphlib.TopologicalSorter(IMPORTS).static_order())
    assert set(FILES) <= set(order)


@pytest.mark.slow
def test_only_the_command_line_prints_exits_and_knows_click() -> None:
    """Every other module gives values and raises errors; the launcher is a program of its own."""
    for module, path in FILES.items():
        if module.partition(".")[0] in ("cli", "launcher", "__main__"):
            continue
        assert not knows(module) & {"cli"}, module
        assert not imported(path) & {"click", "rich"}, module
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"print", "exit", "input"}, module


@pytest.mark.parametrize("module", CARRIED)
def test_the_launcher_needs_python_3_8_and_nothing_else(module: str) -> None:
    """It is copied into every sweep, and into every capsule's rerun.sh."""
    text = FILES[module].read_text("utf-8")
    ast.parse(text, feature_version=(3, 8))
    ours = {name for name in imported(FILES[module]) if name.startswith("resweep")}
    assert all(name.startswith("resweep.launcher") for name in ours)
    others = {name.partition(".")[0] for name in imported(FILES[module]) - ours}
    assert others - {"launcher"} <= set(sys.stdlib_module_names)
    assert "'''" not in text  # the text of each stands between these in the launcher
    # evaluated when the file is read, unlike what stands in an annotation
    assert not re.search(r"^\w+ = .*\b(dict|list|tuple|set)\[", text, re.MULTILINE)


def test_the_help_screen_imports_nothing_heavy() -> None:
    """`resweep --help` answers at once."""
    program = """
import sys
from resweep.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print(sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    loaded = set(ast.literal_eval(done.stderr))
    assert "click" in loaded
    assert not loaded & {"sklearn", "rich", "_jsonnet", "numpy", "scipy", "setuptools", "tomli_w", "qb", "tomllib"}
    assert "matplotlib" not in loaded


@pytest.mark.slow
def test_the_tool_and_the_example_do_not_know_each_other() -> None:
    """The researcher's code never imports resweep, and resweep never imports the researcher's."""
    example = sorted((REPOSITORY / "qb").rglob("*.py"))
    assert example
    for path in example:
        modules = (
            {name.partition(".")[0] for name in imported(path)}
            if "from ." not in path.read_text()
            else {
                str(name).partition(".")[0] for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.M)
            }
        )
        assert "resweep" not in modules, path
    for path in FILES.values():
        assert not {name for name in imported(path) if name.partition(".")[0] == "qb"}, path
