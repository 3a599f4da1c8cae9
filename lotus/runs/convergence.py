"""After how many epochs a training had learnt what it learnt."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lotus.atomic import atomic_path


@dataclass(frozen=True)
class Convergence:
    """How a training with a stopping rule ended.

    Attributes:
        epochs: That were trained.
        converged_after: Epochs until the last improvement that counted.
        monitor: Name of the logged value that the rule looked at.
        min_delta: How much counts as an improvement.
        patience: Checks without one, after which training stops.
        stopped: Whether it stopped for that, and not because its epochs were over.
    """

    epochs: int
    converged_after: int
    monitor: str
    min_delta: float
    patience: int
    stopped: bool


def converged_after(
    curve: Mapping[int, float], min_delta: float, *, maximize: bool = False
) -> int | None:
    """Epochs until the last improvement by more than a threshold, as early stopping counts them.

    Args:
        curve: The value of each epoch, from 0, that has one.
        min_delta: How much counts as an improvement over the best value so far, 0 or more.
        maximize: Whether more is better.

    Returns:
        Number of epochs, from 1; None where no value is finite.
    """
    sign = -1.0 if maximize else 1.0
    best, found = math.inf, None
    for epoch in sorted(curve):
        value = sign * curve[epoch]
        if math.isfinite(value) and value < best - min_delta:
            best, found = value, epoch + 1
    return found


def write_convergence(path: Path, convergence: Convergence) -> None:
    """Write it as JSON; whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(convergence), indent=2) + "\n", encoding="utf-8")


def read_convergence(path: Path) -> Convergence:
    """Read what :func:`write_convergence` wrote.

    Raises:
        FileNotFoundError: No such file: the training had no stopping rule.
        ValueError: The file is damaged.
    """
    try:
        return Convergence(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: no record of a training's convergence ({error})") from error
