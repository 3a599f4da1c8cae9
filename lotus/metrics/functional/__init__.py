"""Scores of one image as pure functions: arrays in, numbers out; nothing here imports torch."""

from lotus.metrics.functional.confusion import confusion_matrix, confusion_scores
from lotus.metrics.functional.contingency import ContingencyTable, contingency_table
from lotus.metrics.functional.hausdorff import hausdorff_distance, hausdorff_distances
from lotus.metrics.functional.ignored import without_ignored
from lotus.metrics.functional.instances import (
    DetectionScores,
    PanopticQuality,
    aggregated_jaccard_index,
    detection_scores,
    panoptic_quality,
    pool_panoptic_quality,
)
from lotus.metrics.functional.lotus2024 import (
    lotus2024_foreground_iou,
    lotus2024_hd95,
    lotus2024_scores,
)
from lotus.metrics.functional.overlap import (
    class_dice,
    class_intersection_over_union,
    dice,
    intersection_over_union,
    macro_average,
)

__all__ = [
    "ContingencyTable",
    "DetectionScores",
    "PanopticQuality",
    "aggregated_jaccard_index",
    "class_dice",
    "class_intersection_over_union",
    "confusion_matrix",
    "confusion_scores",
    "contingency_table",
    "detection_scores",
    "dice",
    "hausdorff_distance",
    "hausdorff_distances",
    "intersection_over_union",
    "lotus2024_foreground_iou",
    "lotus2024_hd95",
    "lotus2024_scores",
    "macro_average",
    "panoptic_quality",
    "pool_panoptic_quality",
    "without_ignored",
]
