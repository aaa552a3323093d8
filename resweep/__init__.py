"""resweep: reproducible sweeps with nothing but files. What notebooks and trainings need; else the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resweep.errors import ResweepError as ResweepError
    from resweep.measured import log as log
    from resweep.metrics import Curve as Curve
    from resweep.metrics import History as History
    from resweep.notebook import generate as generate
    from resweep.opened.sweep import Opened as Opened
    from resweep.opened.sweep import open_sweeps as open  # noqa: A004
    from resweep.opened.trial import Trial as Trial
    from resweep.opened.trials import Best as Best
    from resweep.opened.trials import Point as Point
    from resweep.opened.trials import Points as Points
    from resweep.opened.trials import Trials as Trials
    from resweep.points import Statistic as Statistic

__version__ = "0.1.0"

# every public name, with the room that it is in and what it is called there
_ROOMS = {
    "Best": ("opened.trials", "Best"),
    "Curve": ("metrics", "Curve"),
    "History": ("metrics", "History"),
    "Opened": ("opened.sweep", "Opened"),
    "Point": ("opened.trials", "Point"),
    "Points": ("opened.trials", "Points"),
    "ResweepError": ("errors", "ResweepError"),
    "Statistic": ("points", "Statistic"),
    "Trial": ("opened.trial", "Trial"),
    "Trials": ("opened.trials", "Trials"),
    "generate": ("notebook", "generate"),
    "log": ("measured", "log"),
    "open": ("opened.sweep", "open_sweeps"),
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
