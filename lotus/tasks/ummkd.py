"""UMMKD: one network for two unpaired modalities, normalised apart, distilled into each other."""

from typing import Any

import torch
from torch import Tensor, nn

from lotus.batch import Batch, Parts
from lotus.losses import ClassMeanDistillation, DiceWeightedCrossEntropy
from lotus.networks import with_own_norm_layers
from lotus.runs.charts import Chart
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
        loss: The segmentation loss of each modality; Dice plus weighted cross-entropy by default.
        instances: As in SegmentationTask, one of pixel classes.
        lambda_kd: Weight >= 0 of the divergence.
        temperature: T > 0 of the class-mean scores.
        **kwargs: Those of :class:`SegmentationTask`; ``network`` has normalisation layers, and both
            streams start from ``initial_weights``.

    Raises:
        ValueError: A network without normalisation layers, a negative weight, or a temperature
            that is not positive.
    """

    def __init__(
        self,
        *,
        loss: nn.Module | None = None,
        instances: PixelClasses | None = None,
        lambda_kd: float = 0.5,
        temperature: float = 2.0,
        **kwargs: Any,
    ) -> None:
        loss = loss or DiceWeightedCrossEntropy()
        super().__init__(loss=loss, instances=instances, **kwargs)
        if lambda_kd < 0:
            raise ValueError(f"expected lambda_kd >= 0, got {lambda_kd}")
        self.lambda_kd = lambda_kd
        self.distillation = ClassMeanDistillation(temperature)
        self.teacher_stream = with_own_norm_layers(self.network)

    def charts(self) -> list[Chart]:
        """The terms of the loss."""
        terms = {"student": "student", "teacher": "teacher", "kd": "divergence"}
        curves = {f"train_loss_{term}": label for term, label in terms.items()}
        return [Chart("Loss terms", curves, "raw value", "Each term before its weight.")]

    def training_step(self, batch: Parts, batch_idx: int) -> Tensor:  # type: ignore[override]
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
        self.log_training_loss(loss, len(student["image"]), terms)
        return loss

    def _divergence(
        self,
        student_output: Any,
        teacher_output: Any,
        student: Batch,
        teacher: Batch,
    ) -> Tensor:
        logits = [
            output[0] if isinstance(output, list | tuple) else output
            for output in (student_output, teacher_output)
        ]
        targets = [self.target_classes(batch) for batch in (student, teacher)]
        # Means over many pixels lose their digits in half precision.
        with torch.autocast(self.device.type, enabled=False):
            divergence: Tensor = self.distillation(*logits, *targets)
        return divergence
