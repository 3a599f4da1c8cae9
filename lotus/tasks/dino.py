"""DINO: a student that says of every view what its own slow average says of the large ones."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from lotus.networks.vision_transformer import VisionTransformer
from lotus.tasks.pretraining import PretrainingTask
from lotus.transforms.views import Views


class DINOTask(PretrainingTask):
    """Pretrain an encoder by DINO (Caron et al., ICCV 2021), the baseline of LeJEPA.

    A student sees all views, a teacher the global ones alone. Each puts a head of prototypes on its
    embedding, and the student is to give what the teacher gave of another view: cross-entropy of
    softmaxes, the teacher's sharper and centred by a moving average of its outputs. The teacher is
    no more than the exponential average of the student. Heads and loss are those of the package
    lightly. The loss stays at log K, K prototypes, if all outputs become uniform.

    :attr:`encoder`, which is scored while it is trained and is left in the end, is the teacher's.
    Evaluation moves neither the teacher nor its centre. What the paper also varies, weight decay
    and the optimizer's groups of weights, is as in every other pretraining.

    Args:
        encoder: Where student and teacher begin.
        prototypes: Number K of outputs of a head.
        hidden: Width of the head's two hidden layers.
        bottleneck: Width of the layer of length 1 in front of the prototypes.
        momentum: Share in [0, 1) of its own weights that the teacher keeps in the first step; it
            rises to 1 by half a cosine until the last.
        temperatures: The teacher's, in the first epoch and from the last epoch of the warm-up on.
        temperature_epochs: Epochs in which it goes from one to the other, evenly.
        student_temperature: The student's.
        centre_momentum: Share of itself that the centre keeps in every step.
        frozen_epochs: Epochs in which the prototypes are not trained.
        **kwargs: Those of :class:`lotus.tasks.pretraining.PretrainingTask`.

    Raises:
        ValueError: Lightly is not installed, or a number is out of its range.
    """

    def __init__(
        self,
        encoder: VisionTransformer,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        momentum: float = 0.996,
        temperatures: tuple[float, float] = (0.04, 0.07),
        temperature_epochs: int = 30,
        student_temperature: float = 0.1,
        centre_momentum: float = 0.9,
        frozen_epochs: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        if not (0.0 <= momentum < 1.0 and 0.0 <= centre_momentum < 1.0):
            raise ValueError(
                f"momentum is {momentum:g} and centre_momentum {centre_momentum:g}; expected "
                "shares from 0 to below 1"
            )
        if min(*temperatures, student_temperature) <= 0:
            raise ValueError(
                f"temperatures are {temperatures} and {student_temperature:g}; expected numbers > 0"
            )
        self.save_hyperparameters()
        self.momentum = momentum
        loss, head = _lightly()
        self.student = deepcopy(encoder)
        shape = (encoder.dim, hidden, bottleneck, prototypes)
        self.student_head: Any = head(*shape, freeze_last_layer=frozen_epochs)
        self.teacher_head: Any = head(*shape)
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        self.loss: nn.Module = loss(
            prototypes, *temperatures, temperature_epochs, student_temperature, centre_momentum
        )
        for teacher in (self.encoder, self.teacher_head):
            teacher.requires_grad_(False)

    def train(self, mode: bool = True) -> "DINOTask":
        """Training mode for everything but the teacher, of which nothing is dropped."""
        super().train(mode)
        for teacher in (self.encoder, self.teacher_head):
            teacher.eval()
        return self

    def losses(self, views: Views) -> dict[str, Tensor]:
        """The loss; in training the centre moves."""
        with torch.no_grad():
            wanted = _outputs(self.encoder, self.teacher_head, views.global_views)
        given = [
            output
            for group in views
            if group
            for output in _outputs(self.student, self.student_head, group)
        ]
        loss = self.loss if self.training else deepcopy(self.loss)
        # A sum over tens of thousands of small products.
        with torch.autocast(self.device.type, enabled=False):
            return {"loss": loss(wanted, given, epoch=self.current_epoch)}

    def on_train_start(self) -> None:
        """Count the steps over which the teacher slows down."""
        self._steps = int(self.trainer.estimated_stepping_batches)

    def on_after_backward(self) -> None:
        """Leave the prototypes as they are at first."""
        self.student_head.cancel_last_layer_gradients(self.current_epoch)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """A step of the student, which the teacher follows."""
        super().optimizer_step(*args, **kwargs)
        momentum = teacher_momentum(self.global_step, self._steps, self.momentum)
        follow(self.encoder, self.student, momentum)
        follow(self.teacher_head, self.student_head, momentum)


def teacher_momentum(step: int, steps: int, first: float) -> float:
    """Share of its own weights that the teacher keeps: from ``first`` to 1 by half a cosine.

    Args:
        step: From 0.
        steps: Of the whole training.
        first: The share in step 0.

    Examples:
        >>> [round(teacher_momentum(step, 4, 0.9), 4) for step in range(5)]
        [0.9, 0.9146, 0.95, 0.9854, 1.0]
    """
    done = min(step / steps, 1.0)
    return 1.0 - (1.0 - first) * (1.0 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the weights of a teacher towards those of its student.

    Args:
        teacher: Moved in place.
        student: Of the same architecture.
        momentum: Share of itself that the teacher keeps.
    """
    for kept, new in zip(teacher.parameters(), student.parameters(), strict=True):
        kept.lerp_(new, 1.0 - momentum)


def _outputs(encoder: nn.Module, head: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
    """What a head gives of views of one size, each (B, K) in float32."""
    found: Tensor = head(encoder(torch.cat([*views]))).float()
    return [*found.chunk(len(views))]


def _lightly() -> tuple[Any, Any]:
    """Loss and head of lightly.

    Raises:
        ValueError: It is not installed.
    """
    try:
        from lightly.loss import DINOLoss
        from lightly.models.modules.heads import DINOProjectionHead
    except ImportError as error:
        raise ValueError(
            "DINOTask needs the package lightly, which is not installed: "
            "pip install 'lotus-bone[pretraining]'"
        ) from error
    return DINOLoss, DINOProjectionHead
