"""The learning curves that belong to a metric.

Code: report/curves
"""

from __future__ import annotations

import pytest

from resweep.report import curves
from resweep.results.metrics import Curve, History


def history(*names: str) -> History:
    """Curves with these names."""
    return History(tuple(Curve(name, "epoch", (0, 1), (0.0, 1.0)) for name in names))


ALLENNLP = ("best_validation_accuracy", "training_accuracy", "validation_accuracy", "validation_loss", "training_loss")


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (ALLENNLP, "best_validation_accuracy", {"train": "training_accuracy", "validation": "validation_accuracy"}),
        (ALLENNLP, "validation_loss", {"train": "training_loss", "validation": "validation_loss"}),
        (ALLENNLP, "loss", {"train": "training_loss", "validation": "validation_loss"}),
        (("train/loss", "val/loss"), "val_loss", {"train": "train/loss", "validation": "val/loss"}),
        (("loss",), "final_loss", {"": "loss"}),
        (("best_f1", "other"), "best_f1", {"": "best_f1"}),
        (("bestial",), "ial", {}),
        (("other",), "loss", {}),
        ((), "loss", {}),
    ],
)
def test_training_and_validation_of_what_the_metric_measures(
    names: tuple[str, ...], wanted: str, found: dict[str, str]
) -> None:
    """The best value's name leads to the curve that it is the best of, and to the same measure on other parts."""
    assert {part: curve.name for part, curve in curves.belonging(history(*names), wanted).items()} == found


def test_measures_are_named_once() -> None:
    """What can be asked for instead."""
    assert curves.measures(history("training_loss", "validation_loss", "lr")) == ["loss", "lr"]
