"""A well-posed alignment of unpaired images: class by class."""

import torch
from torch import Tensor

from lotus.losses.alignment import Alignment, feature_variation_map, log_scores


class ClassAlignment(Alignment):
    """Compare what the pixels of each class look like, wherever they lie.

    Scores: the mean class distribution over all pixels of a class in the batch. Feature
    variation: the quantiles of M(p) over the pixels of a class. Both are statistics of a class,
    so they are defined for images of different tissue.

    Args:
        temperature: T of the class distributions; the divergence is scaled by T².
        quantiles: Number of evenly spaced quantiles, from 0 to 1 excluding the ends.

    Raises:
        ValueError: A temperature that is not positive, or fewer than one quantile.

    Example:
        >>> import torch
        >>> from lotus.losses import ClassAlignment
        >>> logits = torch.tensor([[[[-2.0, 2.0]]]])
        >>> classes = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        >>> alignment = ClassAlignment()
        >>> turned = logits.flip(-1), classes.flip(-1)  # the same classes at other places
        >>> alignment.score_divergence(logits, turned[0], classes, turned[1])
        tensor(0.)
    """

    def __init__(self, temperature: float = 1.0, *, quantiles: int = 16) -> None:
        super().__init__(temperature)
        if quantiles < 1:
            raise ValueError(f"quantiles must be at least 1, got {quantiles}")
        self.quantiles = quantiles

    def score_divergence(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """Mean over shared classes of KL(teacher's mean distribution || student's)."""
        mean_student, count_student = self._mean_scores(student, student_classes)
        mean_teacher, count_teacher = self._mean_scores(teacher, teacher_classes)
        shared = ((count_student > 0) & (count_teacher > 0)).to(mean_student.dtype)
        divergence = (mean_teacher * (mean_teacher.log() - mean_student.log())).sum(dim=1)
        mean = (divergence * shared).sum() / shared.sum().clamp(min=1)
        return mean * self.temperature**2

    def feature_variation(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """Mean over shared classes and quantiles of the squared difference."""
        student_map = feature_variation_map(student, student_classes)
        teacher_map = feature_variation_map(teacher, teacher_classes)
        levels = torch.arange(1, self.quantiles + 1, device=student.device) / (self.quantiles + 1)
        terms = []
        for index in range(student_classes.shape[1]):
            own = student_map[student_classes[:, index].bool()]
            other = teacher_map[teacher_classes[:, index].bool()]
            if len(own) and len(other):
                terms.append((_quantiles(own, levels) - _quantiles(other, levels)).square().mean())
        return torch.stack(terms).mean() if terms else student_map.sum() * 0

    def _mean_scores(self, logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean distribution (C, K) over the pixels of each class, and their number (C,)."""
        members = classes.float()
        count = members.sum(dim=(0, 2, 3))
        scores = log_scores(logits, self.temperature).exp()
        total = torch.einsum("bkyx,bcyx->ck", scores, members)
        # The floor keeps the logarithm of a distribution that has saturated finite.
        return (total / count.clamp(min=1)[:, None]).clamp(min=1e-7), count


def _quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of (N,) values at levels (Q,), linear between the sorted values.

    ``torch.quantile`` refuses more than 16 million values, which a batch of 512-px patches has.
    """
    ordered = values.sort().values
    position = levels * (len(ordered) - 1)
    below = position.floor().long()
    above = position.ceil().long()
    return torch.lerp(ordered[below], ordered[above], position - below)
