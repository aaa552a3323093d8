"""Columns of plain values -> a data frame of pandas, each column with the type that its values have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resweep.errors import ConfigError

if TYPE_CHECKING:
    import pandas

EXTRA = "pip install 'resweep[pandas]'"
_EXACT = 2**53  # up to here a float is every whole number


def frame(columns: Sequence[tuple[str, Sequence[Any]]], index: Sequence[str] | None = None) -> pandas.DataFrame:
    """The data frame of these columns; `index` has a name for each row, if rows have names.

    Whole numbers are int64 (Int64 where some are missing), other numbers float64, truths bool (boolean where some are
    missing), texts what pandas makes of texts; lists, tables and mixtures stay Python's objects.
    """
    pandas = _pandas()
    rows = None if index is None else pandas.Index(list(index), name="name", dtype=object)
    made = pandas.DataFrame({place: _series(values) for place, (_, values) in enumerate(columns)})
    made.columns = pandas.Index([name for name, _ in columns], dtype=object)
    if rows is not None:
        made.index = rows
    return made


def series(name: str, values: Sequence[float], index: Sequence[float], axis: str) -> pandas.Series:
    """Numbers at places that count what `axis` says."""
    pandas = _pandas()
    return pandas.Series(list(values), pandas.Index(list(index), name=axis), dtype=float, name=name)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise ConfigError(f"to_pandas: pandas is not installed here, expected it: {EXTRA}") from None
    return pandas


def _series(values: Sequence[Any]) -> Any:
    pandas = _pandas()
    kinds = set(map(type, values))
    missing = type(None) in kinds
    kinds -= {type(None)}
    dtype: str | type | None = object
    if kinds == {bool}:
        dtype = "boolean" if missing else bool
    elif kinds == {int}:
        dtype = "Int64" if missing else "int64"
    elif kinds and kinds <= {int, float} and _exact(values):
        dtype = float
    elif kinds == {str}:
        dtype = None  # which type pandas has for texts depends on its version
    try:
        return pandas.Series(list(values), dtype=dtype)
    except (OverflowError, UnicodeError):  # a number or a text that only Python can hold
        return pandas.Series(list(values), dtype=object)


def _exact(values: Sequence[Any]) -> bool:
    return all(type(value) is not int or -_EXACT <= value <= _EXACT for value in values)
