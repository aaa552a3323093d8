"""A value as TOML on one line, and text as a comment: for files that a person reads on."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from resweep.launcher import storage


def toml(value: Any) -> str:
    """A plain value as TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key(name)} = {toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return storage.toml_string(value)
    if isinstance(value, date | time):  # datetime is a date
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else repr(value)


def key(name: str) -> str:
    """A key of TOML: bare where it can be."""
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else storage.toml_string(name)


def comment(text: str) -> str:
    """A text that a comment can hold, on one line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
