"""Features whose channels all have mean 0 and standard deviation 1."""

import torch
from torch import Tensor

SMALLEST_SD = 0.01
"""Of a channel, relative to the root mean square SD over all channels."""


def standard_deviation(variance: Tensor) -> Tensor:
    """Standard deviations of channels that may be divided by.

    A channel that is off nearly everywhere would be blown up by its own; it is taken for one with
    ``SMALLEST_SD``, so that it stays small, whatever the scale of the features.

    Args:
        variance: Variance of each channel, of any shape.

    Returns:
        Positive values of the same shape.
    """
    floor = SMALLEST_SD**2 * variance.detach().mean()
    # The second floor is that of features that are constant in every channel.
    return variance.clamp(min=floor).clamp(min=torch.finfo(variance.dtype).tiny).sqrt()


def standardised(features: Tensor) -> Tensor:
    """Features with mean 0 and SD 1 per channel over the batch, float32.

    Args:
        features: (B, D, Y, X); gradient flows back to them, through mean and SD too.
    """
    variance, mean = torch.var_mean(features.float(), dim=(0, 2, 3), correction=0, keepdim=True)
    return (features - mean) / standard_deviation(variance)
