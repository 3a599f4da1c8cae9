"""Scores collected over images and processes while a network is trained or tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchmetrics import Metric

from lotus.metrics.functional import (
    aggregated_jaccard_index,
    class_dice,
    class_intersection_over_union,
    contingency_table,
    detection_scores,
    dice,
    hausdorff_distances,
    intersection_over_union,
    macro_average,
    panoptic_quality,
)


class ImageMeans(Metric):
    """Means of scores over images: each image counts once, undefined scores are left out.

    Sums and counts are the state, so that any number of processes gives the result of one.

    Args:
        names: Names of the scores that `add_image` will be given for every image.
    """

    full_state_update = False
    total: Tensor
    defined: Tensor
    undefined: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("total", torch.zeros(len(self.names)), dist_reduce_fx="sum")
        self.add_state("defined", torch.zeros(len(self.names)), dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros(()), dist_reduce_fx="sum")

    def add_image(self, scores: Mapping[str, float], replaced: int = 0) -> None:
        """Add the scores of one image.

        Args:
            scores: One score per name, NaN where undefined.
            replaced: How many of them stand for something undefined without being NaN.
        """
        values = torch.tensor([scores[name] for name in self.names], device=self.total.device)
        missing = values.isnan()
        self.total += values.nan_to_num(0.0)
        self.defined += (~missing).to(self.defined.dtype)
        self.undefined += missing.sum() + replaced

    def means(self) -> dict[str, Tensor]:
        """Mean of each score (NaN if it was defined in no image), then `undefined`.

        `undefined` counts the undefined scores of all images, as the column of that name in the
        table of `lotus evaluate` does.
        """
        averages = self.total / self.defined
        return {**dict(zip(self.names, averages, strict=True)), "undefined": self.undefined.clone()}


class InstanceScores(ImageMeans):
    """Mean Dice, IoU, AJI, AJI+, PQ and detection F1 of images with instances.

    Predictions are scored as they are, so stitched images at native resolution belong here rather
    than patches.

    Args:
        hausdorff: Also `hd` and `hd95` in pixels; of all the scores these take most time.
    """

    matched_iou: Tensor
    matched: Tensor
    instances: Tensor

    def __init__(self, hausdorff: bool = False) -> None:
        names = ("dice", "iou", "aji", "aji_plus", "pq", "f1")
        super().__init__((*names, "hd", "hd95") if hausdorff else names)
        self.hausdorff = hausdorff
        for state in ("matched_iou", "matched", "instances"):
            self.add_state(state, torch.zeros(()), dist_reduce_fx="sum")

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Add one image.

        Args:
            prediction: Predicted label map (Y, X), integer tensor or array, 0 = background.
            target: True label map of the same shape.

        Raises:
            ValueError: If the maps do not fit together.
        """
        table = contingency_table(prediction, target)
        quality = panoptic_quality(table)
        scores = {
            "dice": dice(table),
            "iou": intersection_over_union(table),
            "aji": aggregated_jaccard_index(table),
            "aji_plus": aggregated_jaccard_index(table, one_to_one=True),
            "pq": quality.pq,
            "f1": detection_scores(table).f1,
        }
        replaced = 0
        if self.hausdorff:
            scores["hd"], scores["hd95"] = hausdorff_distances(prediction, target, (100.0, 95.0))
            replaced = 2 if (table.n_pred == 0) != (table.n_true == 0) else 0
        self.add_image(scores, replaced)
        if quality.tp:
            self.matched_iou += quality.sq * quality.tp
        self.matched += quality.tp
        self.instances += table.n_pred + table.n_true

    def compute(self) -> dict[str, Tensor]:
        """Give the means over images.

        Returns:
            Mean of each score, NaN if it was defined in no image; `pq_pooled`, the panoptic quality
            of all images as if they were one; `undefined`, the number of scores left out and of
            Hausdorff distances that stand at the image diagonal.
        """
        # 2·sum of IoU / (2·tp + fp + fn), and every instance of either map is in that denominator.
        pooled = 2 * self.matched_iou / self.instances
        return {**self.means(), "pq_pooled": pooled}


class SemanticScores(ImageMeans):
    """Mean Dice and IoU of each class of semantic maps, and their macro averages.

    Args:
        class_names: Names of classes 1, 2, …; background (0) is not scored.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        super().__init__([f"{score}_{c}" for score in ("dice", "iou") for c in self._columns])

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self.class_names, "macro")

    def update(self, prediction: ArrayLike, target: ArrayLike) -> None:
        """Add one image.

        Args:
            prediction: Predicted class of each pixel (Y, X), integer tensor or array.
            target: True class of each pixel, same shape.

        Raises:
            ValueError: If the maps do not fit together or hold a class that has no name.
        """
        n_classes = len(self.class_names)
        scores: dict[str, float] = {}
        for score, values in (
            ("dice", class_dice(prediction, target, n_classes)),
            ("iou", class_intersection_over_union(prediction, target, n_classes)),
        ):
            with_macro = (*values.tolist(), macro_average(values))
            scores |= {f"{score}_{c}": v for c, v in zip(self._columns, with_macro, strict=True)}
        self.add_image(scores)

    def compute(self) -> dict[str, Tensor]:
        """Give the means over images.

        Returns:
            `dice_<class>` and `iou_<class>` for each class, `dice_macro` and `iou_macro` (mean over
            the classes that an image or its prediction holds, then over images), each NaN if
            defined in no image; `undefined`, the number of scores left out.
        """
        return self.means()
