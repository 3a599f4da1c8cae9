"""A learning rate that warms up linearly and then falls as half a cosine, step by step."""

import math
from abc import ABC
from typing import Any

from pytorch_lightning.cli import OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lotus.tasks.base import BaseTask

LEAST = 1e-3
"""Share of the learning rate that is left at the end."""


class WarmUpTask(BaseTask, ABC):
    """A training whose learning rate follows its steps, unless it has a scheduler.

    Args:
        optimizer: From parameters to an optimizer.
        warm_up: Share in [0, 1) of all steps in which the learning rate rises; it then falls as
            half a cosine to a thousandth. Unless there is an ``lr_scheduler``.
        **kwargs: Those of :class:`lotus.tasks.base.BaseTask`.

    Raises:
        ValueError: The warm-up is out of its range.
    """

    def __init__(self, optimizer: OptimizerCallable, warm_up: float = 0.1, **kwargs: Any) -> None:
        super().__init__(optimizer, **kwargs)
        if not 0.0 <= warm_up < 1.0:
            raise ValueError(f"warm_up is {warm_up:g}; expected a share from 0 to below 1")
        self.warm_up = warm_up

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer; its learning rate rises and falls step by step unless told otherwise."""
        if self.lr_scheduler is not None:
            return super().configure_optimizers()
        optimizer = self.optimizer([weight for weight in self.parameters() if weight.requires_grad])
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = warm_up_cosine(optimizer, steps, round(self.warm_up * steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def warm_up_cosine(optimizer: Optimizer, steps: int, warm_up: int) -> LambdaLR:
    """A scheduler to be stepped after every step of the optimizer.

    Args:
        optimizer: Its learning rates are the highest ones.
        steps: Of the whole training.
        warm_up: Steps until the learning rate is at its highest.
    """
    return LambdaLR(optimizer, lambda step: share_of_rate(step, steps, warm_up))


def share_of_rate(step: int, steps: int, warm_up: int) -> float:
    """Share of the highest learning rate that a step has.

    Args:
        step: From 0.
        steps: Of the whole training.
        warm_up: How many of them rise; the next one has the highest rate.

    Returns:
        From 0 to 1; `LEAST` in the last step.

    Examples:
        >>> [round(share_of_rate(step, 7, 2), 3) for step in range(7)]
        [0.333, 0.667, 1.0, 0.854, 0.5, 0.147, 0.001]
    """
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    done = min((step - warm_up) / max(steps - 1 - warm_up, 1), 1.0)
    return LEAST + (1 - LEAST) * (1 + math.cos(math.pi * done)) / 2
