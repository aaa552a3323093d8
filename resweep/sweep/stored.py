"""A sweep's definition as its last generation froze it."""

from __future__ import annotations

import json

from resweep import index, layout
from resweep.errors import TrialError
from resweep.layout import SweepPaths
from resweep.sweep import definition
from resweep.sweep.definition import Sweep


def read(paths: SweepPaths) -> Sweep:
    """What the sweep's last generation was asked for; a TrialError when that cannot be read."""
    folder = paths.generations / str(index.generation(paths))
    try:
        record = json.loads((folder / layout.GENERATION).read_text("utf-8"))
        text = (folder / layout.DEFINITION).read_text("utf-8")
        overrides = tuple(map(str, record["overrides"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrialError(
            f"{folder}: the sweep's definition cannot be read ({error}); generate the sweep again"
        ) from None
    return definition.parse(text, str(folder / layout.DEFINITION), overrides)
