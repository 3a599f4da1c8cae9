"""Scores of segmentations.

Pure functions are in `lotus.metrics.functional`; the torchmetrics classes in
`lotus.metrics.segmentation` are imported from there, as they need torch.
"""

from lotus.metrics.image_scores import score_image

__all__ = ["score_image"]
