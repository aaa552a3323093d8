"""The launcher in one file: attempt.py with the rooms that it needs, as text, for a sweep and for every rerun.sh."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from resweep import attempt

ROOMS = ("data", "delivery", "intact", "surroundings", "witness")
_EMPTY = "PARTS: Dict[str, str] = {}"


@cache
def text() -> str:
    """The launcher's text: it runs by itself, wherever it lies, with Python and bash alone."""
    home = Path(attempt.__file__).parent
    parts = "".join(f"    {name!r}: r'''{(home / f'{name}.py').read_text('utf-8')}''',\n" for name in ROOMS)
    launcher = (home / "attempt.py").read_text("utf-8")
    assert launcher.count(f"\n{_EMPTY}") == 1
    return launcher.replace(f"\n{_EMPTY}", f"\n{_EMPTY[:-1]}\n{parts}}}")
