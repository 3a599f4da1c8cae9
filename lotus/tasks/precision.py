"""Mixed precision where the processor has it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from pytorch_lightning.plugins.precision import Precision
from torch import nn
from torch.optim import Optimizer


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware.

    Elsewhere PyTorch emulates it: on a processor with AVX2 alone a training step of the U-Net took
    27 times as long under bfloat16 autocast as in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return any(abilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return False


def inference_precision(trainer: pl.Trainer) -> Literal["32", "bf16"]:
    """What a trainer validates and tests in, on a device that computes bfloat16."""
    if isinstance(trainer.precision_plugin, NativePrecision):
        return "bf16"
    return "bf16" if str(trainer.precision).startswith("bf16") else "32"


class NativePrecision(Precision):
    """bfloat16 autocast on devices that compute it in hardware, float32 on all others.

    For ``trainer.plugins``. To have one precision everywhere, leave the plugin out and set
    ``trainer.precision``.

    Attributes:
        precision: ``bf16-mixed`` or ``32-true``, known once a trainer has started.
    """

    def __init__(self) -> None:
        self._device_type = "cpu"

    def connect(
        self, model: nn.Module, optimizers: list[Optimizer], lr_schedulers: list[Any]
    ) -> tuple[nn.Module, list[Optimizer], list[Any]]:
        """Decide by the device that the model is on."""
        device = next(model.parameters()).device
        self._device_type = device.type
        self.precision = "bf16-mixed" if computes_bfloat16(device) else "32-true"
        rank_zero_info(f"precision {self.precision}: what {device.type} computes natively")
        return super().connect(model, optimizers, lr_schedulers)

    @contextmanager
    def forward_context(self) -> Generator[None, None, None]:
        """Autocast of training, validation, test and prediction steps."""
        mixed = self.precision == "bf16-mixed"
        with torch.autocast(self._device_type, torch.bfloat16, mixed, cache_enabled=False):
            yield
