"""Any segmentation loss over the pixels of which the truth is known."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class LooksAtNeighbours(Protocol):
    """A loss in which a pixel's neighbours count, and which leaves out ignored pixels itself.

    Example:
        >>> from lotus.losses import DiceFocalAroundMask
        >>> from lotus.losses.known_pixels import LooksAtNeighbours
        >>> isinstance(DiceFocalAroundMask(), LooksAtNeighbours)
        True
    """

    def of_known_pixels(self, logits: Tensor, target: Tensor, ignored: Tensor | None) -> Tensor:
        """The loss of whole images, see :func:`loss_of_known_pixels`; ignored pixels count not."""


def loss_of_known_pixels(
    loss: nn.Module, logits: Tensor, target: Tensor, ignored: Tensor | None = None
) -> Tensor:
    """A loss without the pixels of which nothing is known: they get no gradient.

    Where a batch has such pixels, the known ones of each image are handed to the loss as an image
    of one column, and the mean over images is taken. So the loss must look at pixels one by one or
    at sums of them, as Dice, cross-entropy and flows do, and not at a pixel's neighbours, unless it
    is one of :class:`LooksAtNeighbours`, which gets the images as they are. One that takes sums
    over the whole batch takes them image by image then.

    Args:
        loss: Of logits and target.
        logits: (B, K, Y, X).
        target: (B, C, Y, X).
        ignored: Bool (B, Y, X), where nothing is known; None if everything is.

    Returns:
        A scalar; 0 where no pixel at all is known.

    Example:
        >>> import torch
        >>> from lotus.losses import loss_of_known_pixels
        >>> logits, target = torch.tensor([[[[1.0, 9.0]]]]), torch.tensor([[[[3.0, 0.0]]]])
        >>> loss_of_known_pixels(torch.nn.MSELoss(), logits, target)  # (4 + 81) / 2
        tensor(42.5000)
        >>> ignored = torch.tensor([[[False, True]]])
        >>> loss_of_known_pixels(torch.nn.MSELoss(), logits, target, ignored)
        tensor(4.)
    """
    if isinstance(loss, LooksAtNeighbours):
        return loss.of_known_pixels(logits, target, ignored)
    if ignored is None or not ignored.any():
        value: Tensor = loss(logits, target)
        return value
    terms = [
        loss(own[:, known][None, ..., None], truth[:, known][None, ..., None])
        for own, truth, known in zip(logits, target, ~ignored, strict=True)
        if known.any()
    ]
    return torch.stack(terms).mean() if terms else logits.sum() * 0
