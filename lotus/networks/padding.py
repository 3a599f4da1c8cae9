"""Sides that a network can halve as often as it has to."""

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(image: Tensor, multiple: int, *, minimum: int = 1) -> Tensor:
    """Pad an image below and to the right until both sides are multiples of a number.

    The image is mirrored, or its border repeated where it is smaller than its padding.

    Args:
        image: (B, C, Y, X).
        multiple: What both sides are to be multiples of.
        minimum: The smallest side to return, itself a multiple of ``multiple`` or 1.

    Returns:
        (B, C, Y', X') with Y' >= Y and X' >= X; the image itself if it fits already.
    """
    height, width = image.shape[-2:]
    bottom = max(-height % multiple, minimum - height)
    right = max(-width % multiple, minimum - width)
    if not bottom and not right:
        return image
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(image, (0, right, 0, bottom), mode=mode)
