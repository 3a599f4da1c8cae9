"""The loss that draws an attention to what a mask shows."""

import torch
from torch import Tensor, nn


class MaskGuidanceLoss(nn.Module):
    """L_MSE between an attention and its target (Wang et al., ICIP 2021; Poles et al., BHI 2023).

    The mean squared difference in an image, averaged over those images whose target is not empty:
    a patch without lacunae says nothing of where to look.

    Example:
        >>> import torch
        >>> from lotus.losses import MaskGuidanceLoss
        >>> attention = torch.full((2, 1, 1, 2), 0.5)
        >>> target = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
        >>> MaskGuidanceLoss()(attention, target)  # 0.5² in the first image, the second is empty
        tensor(0.2500)
    """

    def forward(self, attention: Tensor, target: Tensor) -> Tensor:
        """The loss of attentions (B, 1, H, W) in [0, 1]; a scalar, 0 where all targets are empty.

        Args:
            attention: Of each image.
            target: Likewise (B, 1, H, W).
        """
        # Squares of small differences lose their digits in half precision.
        squares = (attention.float() - target.float()).square().mean(dim=(1, 2, 3))
        counted = (target.amax(dim=(1, 2, 3)) > 0).to(squares.dtype)
        mean: Tensor = torch.sum(squares * counted) / counted.sum().clamp(min=1.0)
        return mean
