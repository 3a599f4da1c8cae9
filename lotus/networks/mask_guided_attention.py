"""Attention of a classifier that a segmentation mask guides in training."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Multiplier = Literal["attention", "mask"]
"""What features are multiplied by: the attention of the network, or the mask that guides it."""


class GuidedFeatures(NamedTuple):
    """What mask-guided attention makes of features.

    Attributes:
        features: float (B, C, H, W), as they go on to the head of the classifier.
        attention: float (B, 1, H, W) in (0, 1).
        target: float (B, 1, H, W) in [0, 1], what the attention should be; its maximum in an image
            is 1, or 0 where the mask of the image is empty. None without a guide.
    """

    features: Tensor
    attention: Tensor
    target: Tensor | None


class MaskGuidedAttention(nn.Module):
    """Mask-guided attention (Wang et al., ICIP 2021; Poles et al., BHI 2023).

    The attention is Am = σ(w₁ mean_c f + w₂ max_c f + b), a 1×1 convolution of the mean and the
    maximum over the channels of the features f. Its target A_MGA is the guide's mask, averaged over
    the field of each feature and divided by its maximum in the image. The features go on as
    0.5 f + 0.5 (A · f) with A = Am, which needs no mask once the network is trained, or A = A_MGA.

    Args:
        multiplier: ``attention`` for Am, ``mask`` for A_MGA, as the paper of 2023 writes it.

    Raises:
        ValueError: Another multiplier.
    """

    def __init__(self, multiplier: Multiplier = "attention") -> None:
        super().__init__()
        if multiplier not in ("attention", "mask"):
            raise ValueError(f"multiplier is {multiplier!r}; expected 'attention' or 'mask'")
        self.multiplier = multiplier
        self.mixing = nn.Conv2d(2, 1, kernel_size=1)

    def forward(self, features: Tensor, guide: Tensor | None = None) -> GuidedFeatures:
        """Attend to features (B, C, H, W).

        Args:
            features: The last feature map of an encoder.
            guide: Float (B, 1, Y, X) in [0, 1], a mask of the same field in any resolution.

        Raises:
            ValueError: No guide where the features are multiplied by it.
        """
        summary = torch.cat(
            (features.mean(dim=1, keepdim=True), features.amax(dim=1, keepdim=True)), dim=1
        )
        attention = self.mixing(summary).sigmoid()
        size = (features.shape[-2], features.shape[-1])
        target = None if guide is None else attention_target(guide, size)
        factor = attention
        if self.multiplier == "mask":
            if target is None:
                raise ValueError(
                    "features are multiplied by the mask (multiplier: mask), but there is none: "
                    "give a guide, or train with multiplier: attention"
                )
            factor = target.to(features.dtype)
        return GuidedFeatures(0.5 * features + 0.5 * factor * features, attention, target)


def attention_target(guide: Tensor, size: tuple[int, int]) -> Tensor:
    """What the attention should be, A_MGA.

    Args:
        guide: Float (B, 1, Y, X) in [0, 1].
        size: (H, W) of the attention.

    Returns:
        float (B, 1, H, W): means of the guide over the fields of the attention's pixels, divided
        by their maximum in each image; 0 where the guide is empty.
    """
    pooled = F.adaptive_avg_pool2d(guide.float(), size)
    maximum = pooled.amax(dim=(2, 3), keepdim=True)
    return torch.where(maximum > 0, pooled / maximum, 0.0)
