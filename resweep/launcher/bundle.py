"""The launcher in one file, as text: attempt.py of a sweep, and a part of every rerun.sh."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_EMPTY = "\nSOURCES: Dict[str, str] = {}\n"
_TOOL = ("__init__", "bundle", "standalone")  # what of this package the tool alone needs
MODULES = tuple(sorted(path.stem for path in _HERE.glob("*.py") if path.stem not in _TOOL))


@cache
def text() -> str:
    """The launcher's text: it runs by itself, wherever it lies, with Python and bash alone."""
    sources = "".join(f"    {name!r}: r'''{(_HERE / f'{name}.py').read_text('utf-8')}''',\n" for name in MODULES)
    alone = (_HERE / "standalone.py").read_text("utf-8")
    assert alone.count(_EMPTY) == 1
    return alone.replace(_EMPTY, f"\nSOURCES: Dict[str, str] = {{\n{sources}}}\n")
