"""What a command asks for -> a figure, as the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable

from resweep.report.figures import curves, importance, look, parallel, performance, scatter
from resweep.report.figures.series import Asked, Drawn
from resweep.results.load import Gathered

KINDS: dict[str, Callable[[Gathered, Asked], Drawn]] = {
    "performance": performance.draw,
    "importance": importance.draw,
    "parallel": parallel.draw,
    "curves": curves.draw,
    "scatter": scatter.draw,
}


def draw(found: Gathered, asked: Asked) -> Drawn:
    """The figure, to be looked at by a program; a ConfigError where there is nothing to draw."""
    with look.ours():
        return KINDS[asked.kind](found, asked)


def render(found: Gathered, asked: Asked, form: str) -> tuple[bytes, tuple[str, ...]]:
    """The figure as pdf, png or svg, always the same bytes for the same data, and what a caption should tell."""
    with look.ours():
        drawn = KINDS[asked.kind](found, asked)
        return look.rendered(drawn.figure, form), drawn.notes
