"""MAML: a network per modality, trained apart and through what their features give together."""

from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from monai.inferers import Inferer
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from lotus.networks import ModalityAwareFusion, features_and_logits, segmentation_head
from lotus.schemes import InstanceScheme
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
        network: the student's; the teacher's network starts as its copy.
        class_names: as in SegmentationTask; the same for both modalities.
        in_channels: channels of both modalities' images.
        loss: the loss of each output, as in SegmentationTask.
        optimizer: as in SegmentationTask.
        lr_scheduler: as in SegmentationTask.
        instances: as in SegmentationTask.
        inferer: as in SegmentationTask.
        initial_weights: a checkpoint that both networks start from.
        lambda_joint: weight >= 0 of the fused output's loss; 8/15 in the released code.

    Attributes:
        note: what a table must say beside a result of this task on unpaired data.

    Raises:
        ValueError: a negative weight, or a network that does not end in a convolution.
    """

    note: ClassVar[str] = (
        "pseudo-paired: student and teacher images of the same group, not of the same tissue; "
        "scores are those of the student's stream alone"
    )

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        in_channels: int = 3,
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.Adam(
            parameters, lr=1e-3, weight_decay=1e-7
        ),
        lr_scheduler: LRSchedulerCallable | None = None,
        instances: InstanceScheme | None = None,
        inferer: Inferer | None = None,
        initial_weights: Path | None = None,
        lambda_joint: float = 0.5,
    ) -> None:
        super().__init__(
            network,
            class_names,
            in_channels,
            loss,
            optimizer,
            lr_scheduler,
            instances,
            inferer,
            initial_weights,
        )
        if lambda_joint < 0:
            raise ValueError(f"expected lambda_joint >= 0, got {lambda_joint}")
        self.lambda_joint = lambda_joint
        self.teacher_stream = deepcopy(network)
        head = segmentation_head(network)
        self.fusion = ModalityAwareFusion(head.in_channels, head.out_channels)

    def on_fit_start(self) -> None:
        """Say of unpaired data what the result is not."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if not getattr(data, "paired", False):
            rank_zero_warn(f"{type(self).__name__} runs {self.note}")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Loss of one batch ``{"student": ..., "teacher": ...}``."""
        terms = self._terms(batch["student"], batch["teacher"])
        loss = terms["student"] + terms["teacher"] + self.lambda_joint * terms["joint"]
        size = len(batch["student"]["image"])
        self._log_training_loss(loss, size)
        values = {f"train_loss_{name}": term.detach() for name, term in terms.items()}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        return loss

    def _terms(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Tensor]:
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
