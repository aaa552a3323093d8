"""How every figure looks, and how it becomes bytes: readable in a column, in grey, by the colour-blind."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from resweep.errors import ConfigError

EXTRA = "pip install 'resweep[plot]'"
FORMS = ("pdf", "png", "svg")
COLUMN, TEXT = 3.3, 6.75  # inches: a column of a paper of two, and both
DOTS = 300  # per inch, of png and of what is many dots in a pdf
MOST_VECTORS = 2000  # lines or dots; of more, the picture is smaller than the drawing
FAINT = "#b8b8b8"

# Okabe and Ito's colours, in an order in which neighbours differ in grey, too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
STROKES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same letters everywhere
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "savefig.dpi": DOTS,
    "figure.dpi": DOTS,
    "pdf.fonttype": 42,  # TrueType, which the checks of camera-ready papers ask for; Type 3 they refuse
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "resweep",
}
# no time, and no version that changes without the figure
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "resweep"},
    "svg": {"Date": None, "Creator": "resweep"},
    "png": {"Software": "resweep"},
}
# control characters, those that turn the direction of writing, lone surrogates
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")


@dataclass(frozen=True)
class Style:
    """How one sweep, or one trial, is told from the others: by colour, by line and by marker."""

    colour: str
    stroke: Any
    marker: str


def style(number: int) -> Style:
    """The style of the first, second, ... of several; 35 pass before one comes again."""
    return Style(
        COLOURS[number % len(COLOURS)],
        STROKES[(number + number // len(COLOURS)) % len(STROKES)],
        MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
    )


@contextmanager
def ours() -> Iterator[None]:
    """While it is open, matplotlib has our settings, whatever the user's are; figures are made and written in it."""
    try:
        import matplotlib
    except ImportError:
        raise ConfigError(f"plot: needs matplotlib, expected after {EXTRA}") from None
    with matplotlib.rc_context(), warnings.catch_warnings():
        # a letter that the font has not is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new(width: float, height: float) -> Any:
    """An empty figure of so many inches, that makes room for its labels. It knows no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def rendered(figure: Any, form: str) -> bytes:
    """The figure as a file's bytes: the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=_METADATA[form])
    return buffer.getvalue()


def plain(text: object, longest: int = 40) -> str:
    r"""A text as matplotlib draws it letter by letter: on one line, a long one without its middle."""
    words = _UNSEEN.sub(" ", str(text)).strip()
    if len(words) > longest:
        half = (longest - 1) // 2
        words = f"{words[: longest - 1 - half]}\N{HORIZONTAL ELLIPSIS}{words[-half:]}"
    return words.replace("$", r"\$")


def short(keys: Sequence[str], longest: int = 24) -> dict[str, str]:
    """Swept keys as they stand at an axis: `lr` of params.lr, where no other is called so."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: plain(name if name and last.count(name) == 1 else key, longest)
        for key, name in zip(keys, last, strict=True)
    }


def legend(place: Any, handles: Sequence[Any], texts: Sequence[str], **options: Any) -> Any:
    """A legend of an axes or a figure, whatever the texts begin with: matplotlib leaves out those with `_`."""
    made = place.legend(handles, ["."] * len(handles), **options)
    for each, text in zip(made.get_texts(), texts, strict=True):
        each.set_text(text)
    return made
