"""How near the student's features are to the teacher's classes."""

import torch
from torch import Tensor
from torch.nn import functional as F


def prototype_cosine(
    features: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
) -> Tensor:
    """Mean cosine between a pixel's features and the teacher's prototype of the pixel's class.

    Args:
        features: (B, D, Y, X).
        teacher: (B, D, Y, X).
        student_classes: One-hot (B, C, Y, X).
        teacher_classes: One-hot (B, C, Y, X).

    Returns:
        A scalar in [-1, 1], over the classes that the teacher's batch has.
    """
    count = teacher_classes.sum(dim=(0, 2, 3))
    prototypes = torch.einsum("bdyx,bcyx->cd", teacher, teacher_classes)
    prototypes = prototypes / count.clamp(min=1)[:, None]
    cosine = torch.einsum(
        "bdyx,cd->bcyx", F.normalize(features, dim=1), F.normalize(prototypes, dim=1)
    )
    members = student_classes * (count > 0)[None, :, None, None]
    return (cosine * members).sum() / members.sum().clamp(min=1)
