"""UMMKD: one network for two unpaired modalities, normalised apart, distilled into each other."""

from pathlib import Path
from typing import Any

import torch
from monai.inferers import Inferer
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from lotus.losses import ClassMeanDistillation, DiceWeightedCrossEntropy
from lotus.networks import with_own_norm_layers
from lotus.schemes import PixelClasses
from lotus.tasks.segmentation import SegmentationTask


class UnpairedKnowledgeDistillationTask(SegmentationTask):
    """Train one network on student and teacher images (Dou et al., IEEE TMI 2020).

    All convolutions are shared, normalisation layers are per modality. The loss is Dice plus
    weighted cross-entropy of each modality's own masks, plus ``lambda_kd`` times the divergence of
    the modalities' class-mean scores. There is no teacher that was trained before; both modalities
    learn at once.

    ``network``, and with it ``forward``, validation, test and whatever is done from a checkpoint
    alone, is the student's stream: a plain network with the student's normalisation. The teacher's
    stream, ``teacher_stream``, is used in training only.

    Args:
        network: the network, with normalisation layers.
        class_names: as in SegmentationTask; the same for both modalities.
        in_channels: channels of both modalities' images.
        loss: the segmentation loss of each modality; Dice plus weighted cross-entropy by default.
        optimizer: as in SegmentationTask.
        lr_scheduler: as in SegmentationTask.
        instances: as in SegmentationTask.
        inferer: as in SegmentationTask.
        initial_weights: a checkpoint that both streams start from.
        lambda_kd: weight >= 0 of the divergence.
        temperature: T > 0 of the class-mean scores.

    Raises:
        ValueError: a network without normalisation layers, a negative weight, or a temperature
            that is not positive.
    """

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
        instances: PixelClasses | None = None,
        inferer: Inferer | None = None,
        initial_weights: Path | None = None,
        lambda_kd: float = 0.5,
        temperature: float = 2.0,
    ) -> None:
        super().__init__(
            network,
            class_names,
            in_channels,
            loss or DiceWeightedCrossEntropy(),
            optimizer,
            lr_scheduler,
            instances,
            inferer,
            initial_weights,
        )
        if lambda_kd < 0:
            raise ValueError(f"expected lambda_kd >= 0, got {lambda_kd}")
        self.lambda_kd = lambda_kd
        self.distillation = ClassMeanDistillation(temperature)
        self.teacher_stream = with_own_norm_layers(network)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Loss of one unpaired batch ``{"student": ..., "teacher": ...}``."""
        student, teacher = batch["student"], batch["teacher"]
        student_output = self.network(student["image"])
        teacher_output = self.teacher_stream(teacher["image"])
        terms = {
            "student": self.segmentation_loss(student_output, student),
            "teacher": self.segmentation_loss(teacher_output, teacher),
            "kd": self._divergence(student_output, teacher_output, student, teacher),
        }
        loss = terms["student"] + terms["teacher"] + self.lambda_kd * terms["kd"]
        size = len(student["image"])
        self._log_training_loss(loss, size)
        values = {f"train_loss_{name}": term.detach() for name, term in terms.items()}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        return loss

    def _divergence(
        self,
        student_output: Any,
        teacher_output: Any,
        student: dict[str, Any],
        teacher: dict[str, Any],
    ) -> Tensor:
        logits = [
            output[0] if isinstance(output, list | tuple) else output
            for output in (student_output, teacher_output)
        ]
        targets = [
            self.instances.encode(batch["mask"], batch["instances"]) for batch in (student, teacher)
        ]
        # Means over many pixels lose their digits in half precision.
        with torch.autocast(self.device.type, enabled=False):
            divergence: Tensor = self.distillation(*logits, *targets)
        return divergence
