"""A table, or pairs, as HTML that Jupyter shows: escaped, in the colours of its theme, readable aloud."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import Any

from resweep.layout import jsonnable
from resweep.results import formats
from resweep.results.table import Table

ROWS = 20  # lines of a table that are shown
WIDEST = 80  # characters of a cell, and twice as many of a line of text
# the theme's colours, also where a page has no doctype, for which browsers make an exception of tables
_TABLE = '<table style="color: inherit">'
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def html(table: Table, said: str) -> str:
    """The first lines of a table, below a line that says what it is of."""
    first = replace(table, lines=table.lines[:ROWS])
    heads: list[str] = []
    columns: list[list[str]] = []
    for column in first.columns:
        values = list(map(column.get, first.lines))
        style = ' style="text-align: right"' if formats.numeric(values) else ' style="text-align: left"'
        heads.append(f'<th scope="col"{style}>{_cell(column.title)}</th>')
        open_, close = ("td", "td") if columns else ('th scope="row"', "th")  # the first tells what a line is of
        columns.append([f"<{open_}{style}>{_cell(word)}</{close}>" for word in formats.words(column, values)])
    lines = ["".join(line) for line in zip(*columns, strict=True)]
    more = len(table.lines) - len(first.lines)
    return "\n".join(
        [
            _TABLE + _caption(said),
            f"<thead><tr>{''.join(heads)}</tr></thead>",
            "<tbody>",
            *(f"<tr>{line}</tr>" for line in lines),
            "</tbody></table>",
            *([f"<p>and {more:,} more; .to_pandas() has all of them</p>"] if more else []),
        ]
    )


def pairs(said: str, lines: Iterable[tuple[str, Any]]) -> str:
    """Names and their values, below a line that says whose they are."""
    rows = [
        f'<tr><th scope="row" style="text-align: left">{_cell(name)}</th>'
        f'<td style="text-align: left">{_escaped(_cut(text, 2 * WIDEST))}</td></tr>'
        for name, text in lines
    ]
    return "\n".join([_TABLE + _caption(said), "<tbody>", *rows, "</tbody></table>"])


def value(found: Any) -> str:
    """A value that was measured, as people read it."""
    return formats.rounded(found) if isinstance(found, float) else jsonnable(found)


def line(text: str) -> str:
    """One line that a terminal can show, whatever is in it, and that is not endless."""
    return _cut(_sound(text), 2 * WIDEST)


def _caption(said: str) -> str:
    return f'<caption style="color: inherit; text-align: left">{_escaped(said)}</caption>'


def _cell(text: str) -> str:
    return _escaped(_cut(text, WIDEST))


def _escaped(text: str) -> str:
    return escape(_sound(text))


def _sound(text: str) -> str:
    # a lone surrogate, which JSON can hold, and UTF-8 cannot
    return _CONTROL.sub(" ", text).encode("utf-8", "backslashreplace").decode()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
