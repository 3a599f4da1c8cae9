"""The literal alignment of the LOTUS paper: pixel by pixel."""

from torch import Tensor

from lotus.losses.alignment import Alignment, feature_variation_map, log_scores


class PixelAlignment(Alignment):
    """Compare each student pixel with the teacher's pixel at the same place (LOTUS, eq. 4-6).

    The two images show different tissue, so the pixels do not correspond; this is the paper's
    formula all the same.

    Example:
        >>> import math
        >>> import torch
        >>> from lotus.losses import PixelAlignment
        >>> student = torch.full((1, 1, 1, 1), math.log(3))
        >>> classes = torch.ones(1, 1, 1, 1)
        >>> PixelAlignment().score_divergence(student, -student, classes, classes)  # ln(3) / 2
        tensor(0.5493)
    """

    def score_divergence(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """Mean of KL(teacher || student) over the pixels that are of some class in both images."""
        log_student = log_scores(student, self.temperature)
        log_teacher = log_scores(teacher, self.temperature)
        divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)
        known = student_classes.sum(dim=1) * teacher_classes.sum(dim=1)
        mean = (divergence * known).sum() / known.sum().clamp(min=1)
        return mean * self.temperature**2

    def feature_variation(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """Mean squared difference over the pixels whose classes both images of a pair have."""
        present = student_classes.amax((-2, -1)) * teacher_classes.amax((-2, -1))
        valid = (student_classes * present[..., None, None]).sum(1) * (
            teacher_classes * present[..., None, None]
        ).sum(1)
        difference = feature_variation_map(student, student_classes) - feature_variation_map(
            teacher, teacher_classes
        )
        return (difference.square() * valid).sum() / valid.sum().clamp(min=1)
