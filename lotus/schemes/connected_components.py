"""Objects as components of the foreground."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lotus.masks import connected_components
from lotus.schemes.scheme import PixelClasses


class ConnectedComponents(PixelClasses):
    """Objects are the 8-connected components of the foreground; touching objects merge.

    Args:
        minimum_size: Objects of fewer pixels are dropped.
        threshold: A pixel is foreground from this probability on, in (0, 1].

    Raises:
        ValueError: If the threshold is no probability above 0.
    """

    def __init__(self, minimum_size: int = 0, threshold: float = 0.5) -> None:
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold is {threshold:g}; expected a probability in (0, 1]")
        self.minimum_size = minimum_size
        self.threshold = threshold

    def channels(self, n_classes: int) -> int:
        """One sigmoid output for one foreground class, else softmax with background."""
        if n_classes < 1:
            raise ValueError(f"{n_classes} foreground classes; expected at least 1")
        return 1 if n_classes == 1 else n_classes + 1

    def encode(self, mask: Tensor, instances: Tensor) -> Tensor:
        """The class mask itself; see :meth:`InstanceScheme.encode`."""
        return mask.long()[:, None]

    def foreground(self, probability: NDArray[Any]) -> NDArray[np.float32]:
        """The sigmoid output, or one minus the background's softmax."""
        if probability.shape[0] == 1:
            return np.asarray(probability[0], np.float32)
        return np.asarray(1.0 - probability[0], np.float32)

    def classes(
        self, probability: NDArray[Any], labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.uint8]:
        """The likeliest foreground class in objects; see :meth:`InstanceScheme.classes`."""
        first = 0 if len(probability) == 1 else 1
        likeliest = probability[first:].argmax(axis=0) + 1
        return np.where(labels > 0, likeliest, 0).astype(np.uint8)

    def decode(self, probability: NDArray[Any]) -> NDArray[np.int32]:
        """Components of the thresholded foreground; see :meth:`InstanceScheme.decode`."""
        foreground = self.foreground(probability) >= self.threshold
        return connected_components(foreground, self.minimum_size)
