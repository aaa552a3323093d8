"""resweep: reproducible sweeps with nothing but files. What notebooks and trainings need; else the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resweep.measured import log as log
    from resweep.notebook import generate as generate

__version__ = "0.1.0"
__all__ = ["__version__", "generate", "log"]
_ROOMS = {"generate": "notebook", "log": "measured"}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line imports this package, too."""
    if name in _ROOMS:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"resweep.{_ROOMS[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook offers to complete."""
    return sorted({*globals(), *_ROOMS})
