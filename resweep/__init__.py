"""resweep: reproducible sweeps with nothing but files. What notebooks and trainings need; else the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resweep.errors import ArchiveError as ArchiveError
    from resweep.errors import ConfigError as ConfigError
    from resweep.errors import DiskError as DiskError
    from resweep.errors import ExportError as ExportError
    from resweep.errors import ProjectError as ProjectError
    from resweep.errors import ResweepError as ResweepError
    from resweep.errors import SlurmError as SlurmError
    from resweep.errors import SourceChangedError as SourceChangedError
    from resweep.errors import TemplateError as TemplateError
    from resweep.errors import TrialError as TrialError
    from resweep.notebook.generate import Generated as Generated
    from resweep.notebook.generate import GeneratedTrial as GeneratedTrial
    from resweep.notebook.generate import generate as generate
    from resweep.notebook.sweep import Opened as Opened
    from resweep.notebook.sweep import open as open  # noqa: A004
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

# every public name, with the module that it is in and what it is called there
_MODULES = {
    "ArchiveError": ("errors", "ArchiveError"),
    "Best": ("notebook.trials", "Best"),
    "ConfigError": ("errors", "ConfigError"),
    "Curve": ("results.metrics", "Curve"),
    "DiskError": ("errors", "DiskError"),
    "ExportError": ("errors", "ExportError"),
    "Generated": ("notebook.generate", "Generated"),
    "GeneratedTrial": ("notebook.generate", "GeneratedTrial"),
    "History": ("results.metrics", "History"),
    "Opened": ("notebook.sweep", "Opened"),
    "Point": ("notebook.trials", "Point"),
    "Points": ("notebook.trials", "Points"),
    "ProjectError": ("errors", "ProjectError"),
    "ResweepError": ("errors", "ResweepError"),
    "SlurmError": ("errors", "SlurmError"),
    "SourceChangedError": ("errors", "SourceChangedError"),
    "Statistic": ("results.points", "Statistic"),
    "TemplateError": ("errors", "TemplateError"),
    "Trial": ("notebook.trial", "Trial"),
    "TrialError": ("errors", "TrialError"),
    "Trials": ("notebook.trials", "Trials"),
    "generate": ("notebook.generate", "generate"),
    "log": ("results.log", "log"),
    "open": ("notebook.sweep", "open"),
}
# not `open`: an import of everything must not take the place of Python's own
__all__ = [
    "ArchiveError",
    "Best",
    "ConfigError",
    "Curve",
    "DiskError",
    "ExportError",
    "Generated",
    "GeneratedTrial",
    "History",
    "Opened",
    "Point",
    "Points",
    "ProjectError",
    "ResweepError",
    "SlurmError",
    "SourceChangedError",
    "Statistic",
    "TemplateError",
    "Trial",
    "TrialError",
    "Trials",
    "__version__",
    "generate",
    "log",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line imports this package, too."""
    if name in _MODULES:
        from importlib import import_module

        module, own = _MODULES[name]
        found = globals()[name] = getattr(import_module(f"resweep.{module}"), own)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook offers to complete."""
    return sorted({*globals(), *_MODULES})
