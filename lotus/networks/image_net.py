"""Images as networks of ImageNet take them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue in [0, 1]."""
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
"""Their standard deviation."""


class Standardise(nn.Module):
    """Subtract the mean of each channel and divide by its standard deviation.

    Args:
        in_channels: Channels of the images. With another number than three, all have the mean of
            the means and of the standard deviations.
        mean: Of red, green and blue.
        standard_deviation: Of red, green and blue.
    """

    mean: Tensor
    standard_deviation: Tensor

    def __init__(
        self,
        in_channels: int,
        mean: Sequence[float] = MEAN,
        standard_deviation: Sequence[float] = STANDARD_DEVIATION,
    ) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("standard_deviation", standard_deviation)):
            own = torch.tensor(values)
            own = own if len(own) == in_channels else own.mean().expand(in_channels)
            # Not part of the weights: they are settings of the architecture.
            self.register_buffer(name, own.clone()[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, Y, X) in [0, 1], standardised."""
        return (image - self.mean) / self.standard_deviation
