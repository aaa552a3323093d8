"""resweep: reproducible sweeps with nothing but files. What a notebook needs is here; all else is the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resweep.notebook import generate as generate

__version__ = "0.1.0"
__all__ = ["__version__", "generate"]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line imports this package, too."""
    if name == "generate":
        from resweep.notebook import generate

        return generate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook offers to complete."""
    return sorted((*globals(), "generate"))
