"""Scores of classified images, patches or patients."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_calibration_error,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)
from torchmetrics.utilities import dim_zero_cat

CALIBRATION_BINS = 15


def score_classes(probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Scores of cases that were given a class.

    Precision, recall, F1 and AUROC are means over the classes, each class against the others.

    Args:
        probabilities: float (N, K) of the classes of N cases.
        labels: int64 (N,), the true classes.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``precision``, ``recall``, ``f1``, ``auroc`` and
        ``ece`` (15 bins, L1), in [0, 1]. All are NaN without a case; balanced accuracy, recall,
        F1 and AUROC also where a class has none, since nothing can be said of it.

    Example:
        >>> import torch
        >>> from lotus.metrics.classification import score_classes
        >>> found = score_classes(torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 0]))
        >>> found["accuracy"], found["auroc"]
        (tensor(0.5000), tensor(nan))
    """
    classes = probabilities.shape[1]
    undefined = torch.tensor(torch.nan, device=labels.device)
    if not len(labels):
        return dict.fromkeys(_NAMES, undefined)
    scores = {
        "accuracy": multiclass_accuracy(probabilities, labels, classes, average="micro"),
        "precision": multiclass_precision(probabilities, labels, classes),
        "ece": multiclass_calibration_error(
            probabilities, labels, classes, n_bins=CALIBRATION_BINS, norm="l1"
        ),
    }
    if bool((torch.bincount(labels, minlength=classes) > 0).all()):
        scores |= {
            "balanced_accuracy": multiclass_accuracy(probabilities, labels, classes),
            "recall": multiclass_recall(probabilities, labels, classes),
            "f1": multiclass_f1_score(probabilities, labels, classes),
            "auroc": multiclass_auroc(probabilities, labels, classes),
        }
    return {name: scores.get(name, undefined) for name in _NAMES}


_NAMES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auroc", "ece")


class ClassificationScores(Metric):
    """The scores of :func:`score_classes`, collected over batches and processes."""

    full_state_update = False
    probabilities: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("probabilities", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            probabilities: float (B, K).
            labels: int64 (B,).
        """
        self.probabilities.append(probabilities.detach().float())
        self.labels.append(labels)

    def compute(self) -> dict[str, Tensor]:
        """The scores of all cases."""
        return score_classes(dim_zero_cat(self.probabilities), dim_zero_cat(self.labels))
