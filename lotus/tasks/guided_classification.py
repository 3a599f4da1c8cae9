"""Classification whose attention is guided by what a segmentation network finds."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lotus.batch import PatchBatch
from lotus.losses import MaskGuidanceLoss
from lotus.networks import GuidedClassifier
from lotus.runs.charts import Chart
from lotus.tasks.classification import ClassificationTask
from lotus.tasks.guide import MaskGuide


class GuidedClassificationTask(ClassificationTask):
    """Train a classifier with mask-guided attention (Poles et al., BHI 2023).

    L = L_CE + ``lambda_guidance`` · L_MSE, the latter between the attention and the mask that a
    frozen segmentation network found (:class:`lotus.losses.MaskGuidanceLoss`). Masks are made once
    per slice, when the training starts, and kept by the data module. They are not needed to use the
    network, unless the features are multiplied by them (``multiplier: mask``).

    Args:
        network: The classifier with its attention.
        guide: A checkpoint of a segmentation task; None trains the attention by L_CE alone.
        lambda_guidance: Weight >= 0 of L_MSE.
        guide_threshold: Least probability of the guide's foreground, in (0, 1).
        resample_guide: Whether slices of another pixel size than the guide's training images are
            resampled for it; they are refused otherwise.
        **kwargs: Those of :class:`ClassificationTask`.

    Raises:
        ValueError: A negative weight.
    """

    network: GuidedClassifier

    def __init__(
        self,
        *,
        network: GuidedClassifier,
        guide: Path | None = None,
        lambda_guidance: float = 0.1,
        guide_threshold: float = 0.5,
        resample_guide: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(network=network, **kwargs)
        if lambda_guidance < 0:
            raise ValueError(f"expected lambda_guidance >= 0, got {lambda_guidance}")
        self.guide = guide
        self.lambda_guidance = lambda_guidance
        self.guide_threshold = guide_threshold
        self.resample_guide = resample_guide
        self.guidance = MaskGuidanceLoss()

    def origins(self) -> list[Path]:
        """The checkpoint that guides."""
        return [] if self.guide is None else [self.guide]

    def charts(self) -> list[Chart]:
        """The terms of the loss, and how far the attention is from the masks."""
        terms = {"train_loss_class": "class", "train_loss_guidance": "guidance"}
        return [Chart("Loss terms", terms, "raw value", "Each term before its weight.")]

    def summary(self) -> dict[str, Any]:
        """Also what guides the attention."""
        return super().summary() | {"guide": None if self.guide is None else str(self.guide)}

    def inference_record(self) -> dict[str, Any]:
        """Also the guide, where the features are multiplied by what it draws."""
        settings = None
        if self.guide is not None and self.network.multiplier == "mask":
            settings = {
                "checkpoint": str(Path(self.guide).absolute()),
                "threshold": self.guide_threshold,
                "resample": self.resample_guide,
            }
        return super().inference_record() | {"guide": settings}

    def setup(self, stage: str) -> None:
        """Hand the guide to the data, where this stage needs it.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: It is none of a segmentation task, or slices are not what it was trained on.
        """
        super().setup(stage)
        needed = stage == "fit" or self.network.multiplier == "mask"
        if self.guide is None or not needed:
            return
        data = self.data
        device = torch.device("cpu") if data is None else self.trainer.strategy.root_device
        guide = MaskGuide(
            self.guide, device, threshold=self.guide_threshold, resample=self.resample_guide
        )
        if data is not None:
            guide.use_on(data.spacing_um)
            data.use_guide(guide.key, guide)

    def logits(self, batch: PatchBatch) -> Tensor:
        """Logits (B, K) of a batch; its masks count where features are multiplied by them."""
        logits: Tensor = self.network(batch["image"], batch.get("guide"))
        return logits

    def training_step(self, batch: PatchBatch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        logits, found = self.network.guided(batch["image"], batch.get("guide"))
        loss: Tensor = self.loss(logits.float(), batch["label"])
        terms = {"class": loss}
        if found.target is not None:
            terms["guidance"] = self.guidance(found.attention, found.target)
            loss = loss + self.lambda_guidance * terms["guidance"]
        self.log_training_loss(loss, len(batch["label"]), terms)
        return loss
