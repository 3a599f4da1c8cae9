"""A resumed training draws the same random numbers as an uninterrupted one."""

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class EpochSeed(pl.Callback):
    """Seed PyTorch, NumPy and Python from seed, epoch and rank.

    The state of the generators is not part of a checkpoint, so every epoch begins from a state
    that depends on nothing that came before. It is set twice: when the epoch starts, and again
    before its first batch, because a resumed training opens its data loaders at another moment.

    Args:
        seed: Zero or greater.

    Raises:
        ValueError: If the seed is negative.
    """

    def __init__(self, seed: int = 0) -> None:
        if seed < 0:
            raise ValueError(f"the seed is {seed}; it must be zero or greater")
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed the epoch."""
        self._seed(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed what follows the first batch's arrival."""
        if batch_idx == 0:
            self._seed(trainer)

    def _seed(self, trainer: pl.Trainer) -> None:
        sequence = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank])
        of_torch, of_numpy, of_python = (int(word) for word in sequence.generate_state(3))
        torch.manual_seed(of_torch)
        np.random.seed(of_numpy)  # noqa: NPY002 - the global state is what must be set
        random.seed(of_python)
