"""Label maps as the boxes, classes and masks of a detector, and back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import masks_to_boxes

MASK_THRESHOLD = 0.5


def detection_target(mask: Tensor, instances: Tensor) -> dict[str, Tensor]:
    """What torchvision's detectors are trained with, for one image.

    Args:
        mask: int64 (Y, X), class per pixel, 0 is background.
        instances: int32 (Y, X), object number per pixel, 0 is background.

    Returns:
        For N objects, N may be 0: ``boxes`` float32 (N, 4) as x, y of the first pixel's corner and
        of the last one's far corner, so that a pixel's box has side 1; ``labels`` int64 (N,), the
        class of most of the object's pixels; ``masks`` uint8 (N, Y, X).
    """
    numbers = torch.unique(instances)
    inside = instances == numbers[numbers > 0][:, None, None]
    boxes = masks_to_boxes(inside)
    boxes[:, 2:] += 1
    labels = [mask[pixels].mode().values for pixels in inside]
    return {
        "boxes": boxes,
        "labels": torch.stack(labels) if labels else mask.new_zeros(0),
        "masks": inside.to(torch.uint8),
    }


def label_map(masks: Tensor, scores: Tensor) -> NDArray[np.int32]:
    """Detections painted into one map; where two overlap, the pixel goes to the higher score.

    Args:
        masks: Float (N, Y, X) in [0, 1]; an object is where its mask is at least 0.5.
        scores: (N,).

    Returns:
        (Y, X), 0 is background, objects 1, 2, ... without gaps by descending score; an object that
        others cover wholly is left out.
    """
    owner = _owner(masks, scores)
    number = torch.where(owner < len(masks), owner + 1, 0)
    # The zero in front keeps background at 0 where no pixel is background.
    numbers = torch.cat((number.new_zeros(1), number.flatten()))
    _, labels = torch.unique(numbers, return_inverse=True)
    return np.asarray(labels[1:].view(number.shape).cpu(), np.int32)


def class_map(masks: Tensor, scores: Tensor, classes: Tensor) -> NDArray[np.uint8]:
    """The class of each pixel's detection, where :func:`label_map` has that detection.

    Args:
        masks: As for :func:`label_map`.
        scores: (N,).
        classes: (N,), the foreground class of each detection from 1.

    Returns:
        (Y, X), 0 is background.
    """
    best_first = classes[scores.argsort(descending=True, stable=True)]
    of_owner = torch.cat((best_first, best_first.new_zeros(1)))
    return np.asarray(of_owner[_owner(masks, scores)].cpu(), np.uint8)


def _owner(masks: Tensor, scores: Tensor) -> Tensor:
    """Rank by score of the detection that each pixel goes to, from 0; N on background."""
    background = masks.new_ones((1, *masks.shape[1:]), dtype=torch.bool)
    best_first = masks[scores.argsort(descending=True, stable=True)] >= MASK_THRESHOLD
    # The first layer that covers a pixel; argmax gives the first of equals.
    layers = torch.cat((best_first, background)).to(torch.uint8)
    return layers.argmax(dim=0)


def foreground_probability(masks: Tensor, scores: Tensor) -> NDArray[np.float32]:
    """The greatest product of score and mask over all detections, 0 where there is none.

    Args:
        masks: Float (N, Y, X) in [0, 1].
        scores: (N,) in [0, 1].

    Returns:
        (Y, X) in [0, 1].
    """
    nothing = masks.new_zeros(1, *masks.shape[1:])
    greatest = torch.cat((nothing, masks * scores[:, None, None])).amax(dim=0)
    return np.asarray(greatest.cpu(), np.float32)
