"""A well-posed alignment of unpaired images: class by class."""

import math
from collections.abc import Iterator

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
        own, other = (log_scores(logits, self.temperature) for logits in (student, teacher))
        terms = []
        for own_pixels, other_pixels in _shared(own, other, student_classes, teacher_classes):
            log_student, log_teacher = _log_mean(own_pixels), _log_mean(other_pixels)
            terms.append((log_teacher.exp() * (log_teacher - log_student)).sum())
        mean = torch.stack(terms).mean() if terms else own.sum() * 0
        return mean * self.temperature**2

    def feature_variation(
        self, student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
    ) -> Tensor:
        """Mean over shared classes and quantiles of the squared difference."""
        own = feature_variation_map(student, student_classes)[:, None]
        other = feature_variation_map(teacher, teacher_classes)[:, None]
        levels = torch.arange(1, self.quantiles + 1, device=student.device) / (self.quantiles + 1)
        terms = [
            (_quantiles(own_pixels[:, 0], levels) - _quantiles(other_pixels[:, 0], levels))
            .square()
            .mean()
            for own_pixels, other_pixels in _shared(own, other, student_classes, teacher_classes)
        ]
        return torch.stack(terms).mean() if terms else own.sum() * 0


def _shared(
    student: Tensor, teacher: Tensor, student_classes: Tensor, teacher_classes: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Values (N, V) and (M, V) of the pixels of each class that both batches have.

    Args:
        student: (B, V, Y, X).
        teacher: (B, V, Y, X).
        student_classes: One-hot (B, C, Y, X).
        teacher_classes: One-hot (B, C, Y, X).
    """
    own, other = student.movedim(1, -1), teacher.movedim(1, -1)
    for mine, theirs in zip(student_classes.unbind(1), teacher_classes.unbind(1), strict=True):
        pixels = own[mine.bool()], other[theirs.bool()]
        if all(map(len, pixels)):
            yield pixels


def _log_mean(log_scores: Tensor) -> Tensor:
    """Log of the mean (K,) of distributions, from their logs (N, K).

    In logs throughout: the mean of a collapsed network's scores is 0 to every digit of a float,
    and its gradient too.
    """
    return log_scores.logsumexp(dim=0) - math.log(len(log_scores))


def _quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of (N,) values at levels (Q,), linear between the sorted values.

    ``torch.quantile`` refuses more than 16 million values, which a batch of 512-px patches has.
    """
    ordered = values.sort().values
    position = levels * (len(ordered) - 1)
    below = position.floor().long()
    above = position.ceil().long()
    return torch.lerp(ordered[below], ordered[above], position - below)
