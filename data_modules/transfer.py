"""Batches on their way to the device."""

from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from pytorch_lightning import LightningDataModule
from torch import Tensor


def without_doubles(batch: Any) -> Any:
    """Round double precision to single, in tensors at any depth.

    Args:
        batch: A batch, or batches by name.
    """
    return apply_to_collection(
        batch, Tensor, lambda tensor: tensor.float() if tensor.dtype == torch.float64 else tensor
    )


class TransferDataModule(LightningDataModule):
    """Data whose sizes in µm have double precision, except on Apple's GPUs, which have none."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make a batch one that the device can hold."""
        trainer = self.trainer
        on_apple = trainer is not None and trainer.strategy.root_device.type == "mps"
        return without_doubles(batch) if on_apple else batch
