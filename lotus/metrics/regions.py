"""Scores of the regions of semantic maps: by image, over all pixels, and as things to be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skimage.measure import label
from torch import Tensor

from lotus.batch import Batch, RoiPrediction
from lotus.metrics.functional import (
    confusion_matrix,
    contingency_table,
    panoptic_quality,
)
from lotus.metrics.segmentation import SemanticScores


class RegionScores(SemanticScores):
    """Scores of :class:`SemanticScores`, and those of all images as if they were one.

    Means over images and scores of all pixels together differ: published pairs of Dice and IoU
    often fit no single map. So both are given. Regions are also counted: a connected region of a
    class is found where one of the other map overlaps it by an IoU of more than one half.

    Args:
        class_names: Names of classes 1, 2, …; background (0) is not scored.
    """

    confusion: Tensor
    found: Tensor
    regions: Tensor

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__(class_names)
        side = len(self.class_names) + 1
        counts = torch.zeros(side, side, dtype=torch.int64)
        self.add_state("confusion", counts, dist_reduce_fx="sum")
        for state in ("found", "regions"):
            counts = torch.zeros(len(self.class_names), dtype=torch.int64)
            self.add_state(state, counts, dist_reduce_fx="sum")

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Add one image; arguments as :meth:`SemanticScores.update` has them."""
        super().update(prediction, target)
        counts = confusion_matrix(prediction, target, len(self.class_names))
        self.confusion += torch.from_numpy(counts).to(self.confusion.device)
        given, true = np.asarray(prediction), np.asarray(target)
        for index in range(len(self.class_names)):
            maps = [label(each == index + 1, connectivity=2) for each in (given, true)]
            table = contingency_table(*maps)
            self.found[index] += panoptic_quality(table).tp
            self.regions[index] += table.n_pred + table.n_true

    def compute(self) -> dict[str, Tensor]:
        """Give the scores.

        Returns:
            Those of :meth:`SemanticScores.compute`; ``pooled_dice`` and ``pooled_iou``, and both of
            every class, of all pixels together; ``f1``, the detection F1 of all regions of all
            classes. NaN where undefined.
        """
        shared = self.confusion.diagonal().double()[1:]
        both = (self.confusion.sum(dim=0) + self.confusion.sum(dim=1)).double()[1:]
        dice, iou = 2 * shared / both, shared / (both - shared)
        pooled = {"pooled_dice": dice.nanmean(), "pooled_iou": iou.nanmean()}
        for index, name in enumerate(self.class_names):
            pooled |= {f"pooled_dice_{name}": dice[index], f"pooled_iou_{name}": iou[index]}
        f1 = 2 * self.found.sum().double() / self.regions.sum()
        return {**super().compute(), **pooled, "f1": f1}


def as_compared(
    found: RoiPrediction, batch: Batch, class_names: Mapping[str, list[str]]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Predicted and true classes of a ROI, both by the true domain's numbers.

    Args:
        found: What was predicted, perhaps by the head of another domain.
        batch: The ROI alone, annotated.
        class_names: Of every domain.

    Returns:
        uint8 (Y, X) each; classes of the same name are the same, those that the true domain has not
        are background, and so is in both what the annotation ignores.
    """
    names, true_names = class_names[found["domain"]], class_names[batch["modality"][0]]
    numbers = [true_names.index(name) + 1 if name in true_names else 0 for name in names]
    given = np.array([0, *numbers], np.uint8)[found["classes"]]
    true = batch["mask"][0].cpu().numpy().astype(np.uint8)
    if "ignored" in batch:
        ignored = batch["ignored"][0].cpu().numpy()
        given, true = np.where(ignored, 0, given), np.where(ignored, 0, true)
    return given.astype(np.uint8), true.astype(np.uint8)
