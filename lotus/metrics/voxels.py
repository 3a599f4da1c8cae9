"""Scores of classes over all voxels that were segmented, as if they were one volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric

from lotus.metrics.functional import confusion_matrix, confusion_scores


class VoxelScores(Metric):
    """Dice of each class, their mean and the accuracy over all voxels together.

    A class that is in few slices counts as its voxels do, not as the slices do: a mean over slices
    would leave out those without it and weigh the others alike.

    Args:
        class_names: Names of classes 1, 2, …
    """

    full_state_update = False
    confusion: Tensor

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        side = len(self.class_names) + 1
        counts = torch.zeros(side, side, dtype=torch.int64)
        self.add_state("confusion", counts, dist_reduce_fx="sum")

    def update(
        self, prediction: ArrayLike, target: ArrayLike, ignored: ArrayLike | None = None
    ) -> None:
        """Add voxels; arguments as :func:`lotus.metrics.functional.confusion_matrix` has them."""
        counts = confusion_matrix(prediction, target, len(self.class_names), ignored)
        self.confusion += torch.from_numpy(counts).to(self.confusion.device)

    def compute(self) -> dict[str, Tensor]:
        """The scores of :func:`lotus.metrics.functional.confusion_scores`."""
        scores = confusion_scores(self.confusion.cpu().numpy(), self.class_names)
        return {name: torch.tensor(value) for name, value in scores.items()}
