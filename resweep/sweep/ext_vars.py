"""`[ext_vars]`: what the template reads by `std.extVar`, as text, the way AllenNLP gives it.

    [ext_vars]
    EPOCHS = 10                                    "10"
    CUDA_DEVICE = "-1"                             "-1"
    DATA = { env = "DATA" }                        the variable DATA of the environment, as it is at generation
    LOCALE = { env = "LANG", default = "C" }       the same, or "C"

They are part of the configuration, and can be swept: "ext_vars.EPOCHS" = [5, 10].
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from resweep import layout
from resweep.errors import ConfigError, shown
from resweep.sweep import toml_writer

TABLE = "ext_vars"

Table = dict[str, Any]


def from_environment(where: str, tables: Table, swept: Collection[str]) -> tuple[str, ...]:
    """What each `{ env = ... }` stands for, as KEY=VALUE that overrides it; a ConfigError for one that is not set.

    So a definition that was read once says the same on every machine and in every job.
    """
    found = []
    for name, value in _table(where, tables).items():
        key = f"{TABLE}.{name}"
        if "." in name:
            raise ConfigError(f"{where}: {TABLE}: found {name!r}, expected a name without '.'")
        if not isinstance(value, dict):
            continue
        if not {"env"} <= value.keys() <= {"env", "default"} or not all(isinstance(v, str) for v in value.values()):
            raise ConfigError(
                f'{where}: {key}: found {shown(value)}, expected a value, or {{ env = "NAME", default = "..." }}'
            )
        if key in swept:
            raise ConfigError(f"{where}: {key}: is swept by [hyper], expected a value here, or nothing")
        found.append(f"{TABLE}.{toml_writer.key(name)}={toml_writer.toml(_asked(where, key, value))}")
    return tuple(found)


def _asked(where: str, key: str, value: Mapping[str, str]) -> str:
    text = os.environ.get(value["env"], value.get("default"))
    if text is None:
        raise ConfigError(f'{where}: {key}: the variable {value["env"]} is not set; export it, or add default = "..."')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{where}: {key}: the variable {value['env']} is not UTF-8, expected a text") from None
    return text


def texts(config: Mapping[str, Any]) -> dict[str, str]:
    """The external variables of a configuration: a text and a date as they are, anything else as JSON."""
    table = layout.plain(config.get(TABLE, {}))
    return {name: value if isinstance(value, str) else layout.jsonnable(value) for name, value in table.items()}


def _table(where: str, tables: Table) -> Table:
    found = tables.get(TABLE, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: {TABLE}: found {shown(found)}, expected a table, [{TABLE}]")
    return found
