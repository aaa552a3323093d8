"""resweep: reproducible sweeps with nothing but files. What notebooks and trainings need; else the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resweep.errors import ResweepError as ResweepError
    from resweep.notebook import generate as generate
    from resweep.notebook.sweep import Opened as Opened
    from resweep.notebook.sweep import open_sweeps as open  # noqa: A004
    from resweep.notebook.trial import Trial as Trial
    from resweep.notebook.trials import Best as Best
    from resweep.notebook.trials import Point as Point
    from resweep.notebook.trials import Points as Points
    from resweep.notebook.trials import Trials as Trials
    from resweep.results.log import log as log
    from resweep.results.metrics import Curve as Curve
    from resweep.results.metrics import History as History
    from resweep.results.points import Statistic as Statistic

__version__ = "0.1.0"

# every public name, with the room that it is in and what it is called there
_ROOMS = {
    "Best": ("notebook.trials", "Best"),
    "Curve": ("results.metrics", "Curve"),
    "History": ("results.metrics", "History"),
    "Opened": ("notebook.sweep", "Opened"),
    "Point": ("notebook.trials", "Point"),
    "Points": ("notebook.trials", "Points"),
    "ResweepError": ("errors", "ResweepError"),
    "Statistic": ("results.points", "Statistic"),
    "Trial": ("notebook.trial", "Trial"),
    "Trials": ("notebook.trials", "Trials"),
    "generate": ("notebook.generate", "generate"),
    "log": ("results.log", "log"),
    "open": ("notebook.sweep", "open_sweeps"),
}
__all__ = [
    "Best",
    "Curve",
    "History",
    "Opened",
    "Point",
    "Points",
    "ResweepError",
    "Statistic",
    "Trial",
    "Trials",
    "__version__",
    "generate",
    "log",
    "open",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line imports this package, too."""
    if name in _ROOMS:
        from importlib import import_module

        room, own = _ROOMS[name]
        found = globals()[name] = getattr(import_module(f"resweep.{room}"), own)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook offers to complete."""
    return sorted({*globals(), *_ROOMS})
