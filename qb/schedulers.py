"""The scheduler `reduce_on_plateau`, for today's torch.

AllenNLP's own passes `verbose` to `torch.optim.lr_scheduler.ReduceLROnPlateau`, which no longer takes it. This one goes
by the same name in configurations and takes AllenNLP's place.
"""

import torch
from allennlp.training.learning_rate_schedulers import LearningRateScheduler
from allennlp.training.learning_rate_schedulers.pytorch_lr_schedulers import (
    _PyTorchLearningRateSchedulerWithMetricsWrapper,
)


@LearningRateScheduler.register("reduce_on_plateau", exist_ok=True)
class ReduceOnPlateau(_PyTorchLearningRateSchedulerWithMetricsWrapper):
    """Multiplies the learning rate by `factor` when the validation metric has not improved for `patience` epochs.

    `mode` is `"max"` for metrics such as accuracy and `"min"` for a loss; the rest is as torch documents it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode=mode,  # type: ignore[arg-type]  # torch checks it
                factor=factor,
                patience=patience,
                threshold=threshold,
                threshold_mode=threshold_mode,  # type: ignore[arg-type]  # torch checks it
                cooldown=cooldown,
                min_lr=min_lr,
                eps=eps,
            )
        )
