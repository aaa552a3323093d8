"""A sweep's definition as its last generation froze it."""

from __future__ import annotations

import json

from resweep import index, sweep, trial
from resweep.errors import TrialError
from resweep.sweep import Sweep
from resweep.trial import SweepPaths


def read(paths: SweepPaths) -> Sweep:
    """What the sweep's last generation was asked for; a TrialError when that cannot be read."""
    folder = paths.generations / str(index.generation(paths))
    try:
        record = json.loads((folder / trial.GENERATION).read_text("utf-8"))
        text = (folder / trial.DEFINITION).read_text("utf-8")
        overrides = tuple(map(str, record["overrides"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrialError(
            f"{folder}: the sweep's definition cannot be read ({error}); generate the sweep again"
        ) from None
    return sweep.parse(text, str(folder / trial.DEFINITION), overrides)
