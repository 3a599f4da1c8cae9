"""What an alignment of unpaired student and teacher batches gives."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def log_scores(logits: Tensor, temperature: float) -> Tensor:
    """Log of the class distribution at a temperature, in float32.

    Args:
        logits: (B, K, Y, X); one channel is a sigmoid logit, read as two classes.
        temperature: T > 0.

    Returns:
        (B, max(K, 2), Y, X), normalised over the second axis.

    Example:
        >>> import math
        >>> import torch
        >>> from lotus.losses import log_scores
        >>> logits = torch.full((1, 1, 1, 1), 2 * math.log(3))
        >>> log_scores(logits, temperature=2.0).exp().flatten()
        tensor([0.2500, 0.7500])
    """
    logits = logits.float() / temperature
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    return F.log_softmax(logits, dim=1)


def feature_variation_map(features: Tensor, classes: Tensor) -> Tensor:
    """Intra-class feature variation map M(p) = cos(f(p), prototype of p's class).

    The prototype of a class is the mean feature over the class's pixels in the same image
    (IFVD, Wang 2020; LOTUS, eq. 5).

    Args:
        features: (B, D, Y, X).
        classes: One-hot class membership (B, C, Y, X), 0 or 1.

    Returns:
        (B, Y, X) in [-1, 1].

    Example:
        >>> import torch
        >>> from lotus.losses import feature_variation_map
        >>> features = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # two pixels, at right angles
        >>> feature_variation_map(features, torch.ones(1, 1, 1, 2))  # 45 degrees off their mean
        tensor([[[0.7071, 0.7071]]])
    """
    features = features.float()
    members = classes.to(features.dtype)
    count = members.sum(dim=(-2, -1)).clamp(min=1)
    prototypes = torch.einsum("bdyx,bcyx->bcd", features, members) / count[..., None]
    cosine = torch.einsum(
        "bdyx,bcd->bcyx", F.normalize(features, dim=1), F.normalize(prototypes, dim=2)
    )
    return (cosine * members).sum(dim=1)


class Alignment(nn.Module, ABC):
    """How the student's scores and features are compared with an unpaired teacher's.

    A pixel that is of no class, because its truth is not known, has no part in it.

    Args:
        temperature: T of the class distributions; the divergence is scaled by T².

    Raises:
        ValueError: A temperature that is not positive.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    @abstractmethod
    def score_divergence(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """L_kl, KL(teacher || student) of the score distributions (LOTUS, eq. 4).

        Args:
            student: Student logits (B, K, Y, X).
            teacher: Teacher logits (B, K, Y, X), without gradient.
            student_classes: One-hot truth of the student's images (B, C, Y, X).
            teacher_classes: One-hot truth of the teacher's images (B, C, Y, X).

        Returns:
            A scalar >= 0.
        """

    @abstractmethod
    def feature_variation(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """L_ifv, the mean squared difference of feature variation maps (LOTUS, eq. 5-6).

        Args:
            student: Student features (B, D, Y, X).
            teacher: Teacher features (B, D', Y, X), without gradient.
            student_classes: One-hot truth of the student's images (B, C, Y, X).
            teacher_classes: One-hot truth of the teacher's images (B, C, Y, X).

        Returns:
            A scalar in [0, 4].
        """
