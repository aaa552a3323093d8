"""A table -> text: for people, for papers, for programs. Each escapes what it must; a value is never read as markup.

`table`, `markdown` and `latex` round: four digits for a metric, and as many as its spread allows for a mean. `csv`,
`json` and `jsonl` do not.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from types import SimpleNamespace
from typing import Any

from resweep.layout import brief
from resweep.results.points import Statistic
from resweep.results.table import Column, Table

_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$]")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    **{character: "\\" + character for character in "{}$&#_%"},
}
_POWER = re.compile(r"(-?[0-9.]+)e([+-])0*([0-9]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def text(table: Table) -> str:
    """Columns side by side, numbers to the right."""
    columns = []
    for column, values in _by_column(table):
        right = numeric(values)
        cells = [column.title, *words(column, values)]
        width = max(map(len, cells))
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    return "".join([line.rstrip() + "\n" for line in map("  ".join, zip(*columns, strict=True))])


def markdown(table: Table) -> str:
    """A table as GitHub and most others render it."""
    lines = ["| " + " | ".join(_markdown(column.title) for column in table.columns) + " |"]
    cells = []
    rules = []
    for column, values in _by_column(table):
        rules.append("---:" if numeric(values) else "---")
        cells.append(map(_markdown, words(column, values)))
    lines.append("| " + " | ".join(rules) + " |")
    lines += ["| " + " | ".join(line) + " |" for line in zip(*cells, strict=True)]
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    r"""A tabular with the rules of booktabs; numbers in mathematics."""
    cells = []
    places = ""
    for column, values in _by_column(table):
        places += "r" if numeric(values) else "l"
        shown = zip(values, words(column, values), strict=True)
        mixed = not set(map(type, values)) <= {str, type(None)}
        cells.append([_named(value, mixed) if isinstance(value, str) else _latex(value, word) for value, word in shown])
    lines = [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{places}}}",
        r"\toprule",
        " & ".join(_escaped(column.title) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(line) + r" \\" for line in zip(*cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def flat(table: Table) -> Iterator[tuple[str, list[Any]]]:
    """Names and plain values of all columns; a mean has columns for its standard deviation and count beside it."""
    taken = {column.name for column in table.columns}
    for column, values in _by_column(table):
        yield column.name, [value.mean if isinstance(value, Statistic) else value for value in values]
        if any(isinstance(value, Statistic) for value in values):
            for part in ("sd", "n"):
                name = f"{column.name}.{part}"
                while name in taken:
                    name = f"repeats.{name}"
                taken.add(name)
                yield name, [getattr(value, part, None) for value in values]


def comma_separated(table: Table) -> str:
    """RFC 4180, but for the ends of lines. A mean has columns for its standard deviation and count beside it."""
    heads: list[str] = []
    columns: list[list[str]] = []
    for name, values in flat(table):
        heads.append(name)
        columns.append(list(map(_plain, values)))
    lines: list[str] = []
    # a carriage return in a cell is quoted only where one ends a line
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows(zip(*columns, strict=True))
    return "".join([line[:-2] + "\n" for line in lines])


def json_list(table: Table) -> str:
    """A list of objects, one per line of the table."""
    return "[\n" + ",\n".join(_objects(table)) + "\n]\n"


def json_lines(table: Table) -> str:
    """An object a line. NaN and the infinities, which JSON has not, are texts that every language reads as numbers."""
    return "".join([line + "\n" for line in _objects(table)])


def one(value: dict[str, Any]) -> str:
    """One object, whose fields stay in their order: what JSON has not is written as in a list of them."""
    return json.dumps(json.loads(_encode(value)), ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "table": text,
    "csv": comma_separated,
    "json": json_list,
    "jsonl": json_lines,
    "markdown": markdown,
    "latex": latex,
}
WHOLE = ("csv", "json", "jsonl")  # for programs: every column, nothing rounded


def rounded(value: float) -> str:
    """A number as people read it: four digits of a measured one."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_spread(statistic: Statistic) -> str:
    """A mean and its standard deviation, both to the second digit of the latter."""
    mean, sd = statistic.mean, statistic.sd
    if sd is None:
        return rounded(mean)
    if not (math.isfinite(sd) and math.isfinite(mean)) or sd == 0:
        return f"{rounded(mean)} {PLUS_MINUS} {sd:g}"
    digits = 1 - math.floor(math.log10(sd))
    if not -3 < digits < 9 or abs(mean) >= 1e9:
        return f"{mean:.4g} {PLUS_MINUS} {sd:.2g}"
    digits = max(0, digits)
    return f"{mean:.{digits}f} {PLUS_MINUS} {sd:.{digits}f}"


def _by_column(table: Table) -> Iterator[tuple[Column, list[Any]]]:
    for column in table.columns:
        yield column, list(map(column.get, table.lines))


def numeric(values: Sequence[Any]) -> bool:
    """Whether a column of these values holds numbers alone, and stands to the right."""
    kinds = set(map(type, values)) - {type(None)}
    return bool(kinds) and kinds <= {int, float, Statistic}


def words(column: Column, values: Sequence[Any]) -> list[str]:
    """The values of a column as people read them."""
    kind = column.kind
    if column.name == "seconds":
        return ["" if value is None else _seconds(value) for value in values]
    if kind != "swept" and set(map(type, values)) == {float}:  # the usual case, and the fast one
        return list(map(format, values, repeat(".4g")))
    return [_word(kind, value) for value in values]


def _word(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Statistic):
        # the column n says how many finished; beside another number a mean must say its own
        return with_spread(value) + (f" (n={value.n})" if value.is_part else "")
    if isinstance(value, float) and kind != "swept":
        return rounded(value)
    # a swept value stands as in the TOML: 0.10 is not rounded, and the text "1" is not the number
    return _CONTROL.sub(" ", value) if kind == "fixed" and isinstance(value, str) else brief(value)


def _seconds(value: Any) -> str:
    return f"{value.mean if isinstance(value, Statistic) else value:.1f}"


def _markdown(word: str) -> str:
    return _MARKDOWN.sub(r"\\\g<0>", _CONTROL.sub(" ", word))


def _named(text: str, mixed: bool) -> str:
    """A text in a paper: without quotes, unless it would read as nothing, or as another value of its column."""
    return f"``{_escaped(text)}''" if not text or (mixed and _is_json(text)) else _escaped(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _latex(value: Any, word: str) -> str:
    if isinstance(value, Statistic) or (isinstance(value, int | float) and not isinstance(value, bool)):
        word, _, count = word.removesuffix(")").partition(" (n=")
        number = word.replace(PLUS_MINUS, r"\pm").replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
        number = _POWER.sub(lambda found: _power(*found.groups()), number)
        return (f"${number}$" + (f" ($n={count}$)" if count else "")) if word else ""
    return _escaped(word)


def _power(mantissa: str, sign: str, exponent: str) -> str:
    return rf"{mantissa} \times 10^{{{sign.replace('+', '')}{exponent}}}"


def _escaped(word: str) -> str:
    return "".join([_LATEX.get(character, character) for character in _CONTROL.sub(" ", word)])


def _plain(value: Any) -> str:
    """A value in a cell of CSV: numbers so that they come back the same, tables and lists as JSON."""
    if value is None:
        return ""
    return (
        value if isinstance(value, str) else _encode(value).strip('"') if isinstance(value, float) else _encode(value)
    )


def _objects(table: Table) -> Iterator[str]:
    names = [column.name for column in table.columns]
    for line in zip(*(values for _, values in _by_column(table)), strict=True):
        yield _encode(dict(zip(names, line, strict=True)))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Statistic):
        return {"mean": value.mean, "sd": value.sd, "n": value.n, "min": value.min, "max": value.max}
    return str(value)  # dates of TOML


_dumps = json.JSONEncoder(ensure_ascii=False, default=_jsonable, allow_nan=False).encode


def _encode(value: Any) -> str:
    try:
        return _dumps(value)
    except ValueError:  # rare enough to go through everything then
        return _dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Statistic):
        value = _jsonable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
