"""What a type checker knows of `resweep.open`: `make types` reads this, nothing runs it."""

from __future__ import annotations

from typing import Any, assert_type

import resweep
from resweep.notebook.trials import Trials

sweep = resweep.open("rnn")
assert_type(sweep.trials[0].values, dict[str, Any])
assert_type(sweep.trials[:3], Trials)
assert sweep.best
assert_type(sweep.best.trial.history["loss"].values, tuple[float, ...])
sweep.trials[0].nothing  # type: ignore[attr-defined]  # noqa: B018
