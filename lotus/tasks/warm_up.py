"""The learning rate of a pretraining: a linear warm-up, then half a cosine."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

LEAST = 1e-3
"""Share of the learning rate that is left at the end."""


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
