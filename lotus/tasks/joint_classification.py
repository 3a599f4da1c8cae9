"""Segmentation and guided classification by one network, learnt at once."""

from typing import Any, Literal, cast

from torch import Tensor, nn
from torchmetrics.classification import BinaryF1Score

from lotus.batch import Classification, PatchBatch
from lotus.losses import (
    DiceFocalAroundMask,
    FixedWeights,
    MaskGuidanceLoss,
    loss_of_known_pixels,
)
from lotus.networks import JointOutput, SegmentingClassifier
from lotus.runs.charts import Chart
from lotus.tasks.classification import ClassificationTask

IGNORED = -1
"""Class of pixels that no score counts."""


class JointClassificationTask(ClassificationTask):
    """Train one network to segment and, guided by its own masks, to classify.

    L = weighting(L_CE, L_seg) + ``lambda_guidance`` · L_MSE: L_seg in the pixels of annotated
    slices, L_MSE between the attention and their masks, or what the decoder finds where there are
    none. Dice of the segmentation is logged over all annotated validation and test pixels.

    Args:
        network: Classifier and segmenter in one, ``lotus.networks.JointClassifier``.
        segmentation_loss: Called with logits (B, 1, Y, X) and classes (B, 1, Y, X); Dice and focal
            loss around the masks by default.
        weighting: Adds ``class`` and ``segmentation``: ``lotus.losses.FixedWeights``, all 1, by
            default, or ``lotus.losses.UncertaintyWeights``, whose weights are learnt.
        lambda_guidance: Weight >= 0 of L_MSE.
        **kwargs: Those of :class:`ClassificationTask`.

    Raises:
        ValueError: A negative weight, or a network that does not segment.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        segmentation_loss: nn.Module | None = None,
        weighting: nn.Module | None = None,
        lambda_guidance: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(network=network, **kwargs)
        if not isinstance(network, SegmentingClassifier):
            raise ValueError(
                f"{type(network).__name__} does not segment: take lotus.networks.JointClassifier"
            )
        if lambda_guidance < 0:
            raise ValueError(f"expected lambda_guidance >= 0, got {lambda_guidance}")
        self.segmentation_loss = segmentation_loss or DiceFocalAroundMask()
        self.weighting = weighting or FixedWeights()
        self.lambda_guidance = lambda_guidance
        self.guidance = MaskGuidanceLoss()

    def configure_metrics(self) -> None:
        """Also Dice of the annotated pixels."""
        super().configure_metrics()
        self.val_dice, self.test_dice = (BinaryF1Score(ignore_index=IGNORED) for _ in range(2))

    def charts(self) -> list[Chart]:
        """The terms of the loss."""
        names = ("class", "segmentation", "guidance")
        terms = {f"train_loss_{name}": name for name in names}
        return [Chart("Loss terms", terms, "raw value", "Each term before its weight.")]

    def setup(self, stage: str) -> None:
        """As in the parent; and the data have masks.

        Raises:
            ValueError: They have none.
        """
        super().setup(stage)
        if self.data is not None and not self.data.annotated:
            raise ValueError(
                "the data give no masks to learn the segmentation from: set annotated: true"
            )

    def joint(
        self, image: Tensor, mask: Tensor | None = None, ignored: Tensor | None = None
    ) -> JointOutput:
        """Classes, masks and attention, as the network's method of this name gives them."""
        return cast("SegmentingClassifier", self.network).joint(image, mask, ignored)

    def training_step(self, batch: PatchBatch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        found = self.joint(batch["image"], batch["mask"], batch["ignored"])
        terms = {"class": self.loss(found.logits.float(), batch["label"])}
        if not batch["ignored"].all():
            target = (batch["mask"] != 0)[:, None].float()
            terms["segmentation"] = loss_of_known_pixels(
                self.segmentation_loss, found.segmentation.float(), target, batch["ignored"]
            )
        loss: Tensor = self.weighting(terms)
        if found.guided.target is not None:
            terms["guidance"] = self.guidance(found.guided.attention, found.guided.target)
            loss = loss + self.lambda_guidance * terms["guidance"]
        self.log_training_loss(loss, len(batch["label"]), terms)
        return loss

    def validation_step(self, batch: PatchBatch, batch_idx: int) -> Classification:
        """Loss and probabilities of one batch, and the overlap of its masks."""
        logits = self._segmented(batch, self.val_dice)
        return self.evaluated(batch, logits, self.val_loss, self.val_scores)

    def test_step(self, batch: PatchBatch, batch_idx: int) -> Classification:
        """Loss and probabilities of one batch, and the overlap of its masks."""
        logits = self._segmented(batch, self.test_dice)
        return self.evaluated(batch, logits, self.test_loss, self.test_scores)

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the scores of the validation patches."""
        super().on_validation_epoch_end()
        self._log_dice("val", self.val_dice)

    def on_test_epoch_end(self) -> None:
        """Log the loss and the scores of the test patches."""
        super().on_test_epoch_end()
        self._log_dice("test", self.test_dice)

    def _segmented(self, batch: PatchBatch, dice: BinaryF1Score) -> Tensor:
        """Logits of the classes; the masks count in the overlap."""
        found = self.joint(batch["image"])
        truth = (batch["mask"] != 0).long().masked_fill(batch["ignored"], IGNORED)
        dice.update(found.segmentation[:, 0].float().sigmoid(), truth)
        return found.logits

    def _log_dice(self, stage: Literal["val", "test"], dice: BinaryF1Score) -> None:
        self.log(f"{stage}_dice", dice.compute())
        dice.reset()
