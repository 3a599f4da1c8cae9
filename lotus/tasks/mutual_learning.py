"""MAML: a network per modality, trained apart and through what their features give together."""

from copy import deepcopy
from typing import Any, ClassVar

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor

from lotus.batch import Batch, Parts
from lotus.networks import (
    ModalityAwareFusion,
    check_distillable,
    features_and_logits,
    segmentation_head,
)
from lotus.runs.charts import Chart
from lotus.tasks.segmentation import SegmentationTask


class ModalityAwareMutualLearningTask(SegmentationTask):
    """Modality-aware mutual learning (MAML, Zhang et al., MICCAI 2021).

    Each modality has a network of its own. Features before their heads are fused by attention, and
    the loss is that of both single outputs plus ``lambda_joint`` times that of the fused one, whose
    gradient is how the networks teach each other.

    The paper's images are registered scans of one patient, with one truth. In unpaired data a
    student image meets a teacher image of the same group, which shows other tissue: such a run is
    pseudo-paired, and a warning says so unless the data module has ``paired`` true. Unlike in the
    paper, and so that both kinds of data can be trained on:

    - The fused output is trained on the student's truth. A fused pixel of unpaired images has two
      truths, and the student's is the one that is evaluated.
    - ``network``, and with it ``forward``, validation, test and whatever is done from a checkpoint
      alone, is the student's own network. At test there is no teacher image to fuse. That is how
      MAML meets a missing modality: the single output is used, and what the other modality
      taught is in the weights.

    Args:
        lambda_joint: Weight >= 0 of the fused output's loss; 8/15 in the released code.
        **kwargs: Those of :class:`SegmentationTask`; ``network`` is the student's, and the
            teacher's starts as its copy.

    Attributes:
        note: What a table must say beside a result of this task on unpaired data.

    Raises:
        ValueError: A negative weight, or a network that does not end in a convolution.
    """

    note: ClassVar[str] = (
        "pseudo-paired: student and teacher images of the same group, not of the same tissue; "
        "scores are those of the student's stream alone"
    )

    def __init__(self, *, lambda_joint: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if lambda_joint < 0:
            raise ValueError(f"expected lambda_joint >= 0, got {lambda_joint}")
        self.lambda_joint = lambda_joint
        self.teacher_stream = deepcopy(self.network)
        head = segmentation_head(self.network)
        self.fusion = ModalityAwareFusion(head.in_channels, head.out_channels)

    def setup(self, stage: str) -> None:
        """Check also that the logits come from the features that are fused."""
        super().setup(stage)
        if stage == "fit":
            check_distillable(self.network, self.in_channels)

    def on_fit_start(self) -> None:
        """Say of unpaired data what the result is not."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if not getattr(data, "paired", False):
            rank_zero_warn(f"{type(self).__name__} runs {self.note}")

    def charts(self) -> list[Chart]:
        """The terms of the loss."""
        terms = {"student": "student", "teacher": "teacher", "joint": "fused"}
        curves = {f"train_loss_{term}": label for term, label in terms.items()}
        return [Chart("Loss terms", curves, "raw value", "Each term before its weight.")]

    def training_step(self, batch: Parts, batch_idx: int) -> Tensor:  # type: ignore[override]
        """Loss of one batch ``{"student": ..., "teacher": ...}``."""
        terms = self._terms(batch["student"], batch["teacher"])
        loss = terms["student"] + terms["teacher"] + self.lambda_joint * terms["joint"]
        self.log_training_loss(loss, len(batch["student"]["image"]), terms)
        return loss

    def _terms(self, student: Batch, teacher: Batch) -> dict[str, Tensor]:
        """Losses of the single outputs and of the fused one, unweighted."""
        student_features, student_logits = features_and_logits(self.network, student["image"])
        teacher_features, teacher_logits = features_and_logits(
            self.teacher_stream, teacher["image"]
        )
        fused = self.fusion([student_features, teacher_features])
        return {
            "student": self.segmentation_loss(student_logits, student),
            "teacher": self.segmentation_loss(teacher_logits, teacher),
            "joint": self.segmentation_loss(fused, student),
        }
