"""From objects to what a network predicts per pixel, and back."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


def refuse_other_axes(array: Tensor | NDArray[Any], axes: str) -> None:
    """Say which axes are expected where an array has more or fewer.

    Args:
        array: Of any shape.
        axes: What is expected, such as ``(B, Y, X)``.

    Raises:
        ValueError: The array has another number of axes.
    """
    if array.ndim != axes.count(",") + 1:
        raise ValueError(f"found an array of shape {tuple(array.shape)}; expected {axes}")


class InstanceScheme(ABC):
    """How objects are written into a per-pixel target and read from a network's output.

    The network's raw output is turned by :meth:`activate` into maps that may be averaged over
    overlapping windows; ``foreground`` and ``decode`` read those.
    """

    @abstractmethod
    def channels(self, n_classes: int) -> int:
        """Number of network outputs K for ``n_classes`` foreground classes.

        Raises:
            ValueError: If the scheme cannot represent that many classes.
        """

    def classes(
        self, probability: NDArray[Any], labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.uint8]:
        """Class of each pixel.

        Args:
            probability: ``(K, Y, X)`` as for :meth:`decode`.
            labels: ``(Y, X)``, what it decoded to.

        Returns:
            uint8 ``(Y, X)``: 0 background; in objects 1, the only class, unless a scheme has more.
        """
        return np.asarray(labels > 0, np.uint8)

    @abstractmethod
    def encode(self, mask: Tensor, instances: Tensor) -> Tensor:
        """Training target.

        Args:
            mask: int64 ``(B, Y, X)``, class per pixel, 0 is background.
            instances: int32 ``(B, Y, X)``, object number per pixel, 0 is background.

        Returns:
            ``(B, C, Y, X)``, what the scheme's loss compares the network's output with.
        """

    @abstractmethod
    def default_loss(self, n_classes: int) -> nn.Module:
        """The usual loss of raw output ``(B, K, Y, X)`` and target ``(B, C, Y, X)``."""

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """Float32 ``(B, K, Y, X)`` from the network's raw output of that shape."""

    @abstractmethod
    def foreground(self, probability: NDArray[Any]) -> NDArray[np.float32]:
        """Probability of any object, float32 ``(Y, X)``, from activated ``(K, Y, X)``."""

    @abstractmethod
    def decode(self, probability: NDArray[Any]) -> NDArray[np.int32]:
        """Objects of an image.

        Args:
            probability: Activated output ``(K, Y, X)``.

        Returns:
            int32 ``(Y, X)`` label map, 0 background, objects 1..N without gaps.
        """


class PixelClasses(InstanceScheme):
    """Schemes that give every pixel one class: targets are int64 ``(B, 1, Y, X)`` class indices.

    One network output is the logit of the only foreground class, several are those of a softmax
    over all classes.
    """

    def default_loss(self, n_classes: int) -> nn.Module:
        """Soft Dice plus cross-entropy, 1:1: of a sigmoid for one output, else of a softmax.

        Dice is taken per image, so that the mean over processes is that of the joined batch. The
        released LOTUS code takes the Dice of the thresholded mask, which has no gradient.
        """
        from monai.losses import DiceCELoss  # MONAI is loaded where a configuration needs it.

        loss: nn.Module = (
            DiceCELoss(sigmoid=True)
            if self.channels(n_classes) == 1
            else DiceCELoss(softmax=True, to_onehot_y=True, include_background=False)
        )
        return loss

    def activate(self, logits: Tensor) -> Tensor:
        """Sigmoid of one output, softmax of several; see :meth:`InstanceScheme.activate`."""
        logits = logits.float()
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
