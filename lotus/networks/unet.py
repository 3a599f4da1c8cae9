"""The U-Net of teacher and student."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lotus.networks.padding import pad_to_multiple


def _double_convolution(
    in_channels: int, out_channels: int, negative_slope: float
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(negative_slope, inplace=True) if negative_slope else nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net: (convolution, BatchNorm, ReLU) x 2 per level, up-sampled by transposed convolution.

    The defaults are the backbone of teacher and student in LOTUS (Poles et al., MICCAI 2024):
    1.94 million parameters with one logit. Images whose sides are no multiple of
    ``2 ** (len(filters) - 1)`` are reflect-padded inside and cropped back.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        filters: Feature channels of each level, finest first.
        negative_slope: Of the LeakyReLU that takes the place of the ReLU; 0 for a ReLU.
        foreground_prior: Probability π in (0, 1), by the sigmoid, that a new network gives every
            pixel: the bias of the head is log(π / (1 - π)) (RetinaNet, Lin et al., ICCV 2017, 4.1).
            Where foreground is rare, that of PyTorch, near 1/2, may take long to unlearn.

    Raises:
        ValueError: Fewer than two levels, a channel count below one, or a prior not in (0, 1).
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        filters: Sequence[int] = (16, 32, 64, 128, 256),
        negative_slope: float = 0.0,
        foreground_prior: float | None = None,
    ) -> None:
        super().__init__()
        if len(filters) < 2 or min(in_channels, out_channels, *filters) < 1:
            raise ValueError(
                f"UNet needs at least two levels and positive channel counts, got in_channels="
                f"{in_channels}, out_channels={out_channels}, filters={tuple(filters)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.filters = list(filters)
        self.negative_slope = negative_slope
        self.foreground_prior = foreground_prior
        self.encoder = nn.ModuleList(
            _double_convolution(before, after, negative_slope)
            for before, after in zip([in_channels, *filters[:-1]], filters, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, fine, kernel_size=2, stride=2)
            for fine, deep in pairwise(filters)
        )
        self.decoder = nn.ModuleList(
            _double_convolution(2 * fine, fine, negative_slope) for fine in filters[:-1]
        )
        self.head = nn.Conv2d(filters[0], out_channels, kernel_size=1)
        if foreground_prior is not None:
            if not 0 < foreground_prior < 1:
                raise ValueError(f"foreground_prior is {foreground_prior:g}; expected in (0, 1)")
            logit = math.log(foreground_prior / (1 - foreground_prior))
            nn.init.constant_(cast(Tensor, self.head.bias), logit)

    @property
    def multiple(self) -> int:
        """What the sides of the finest map are multiples of inside."""
        return 1 << len(self.up)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Feature maps of the contraction, finest first.

        Args:
            image: (B, C, Y, X) float, both sides multiples of :attr:`multiple`.

        Returns:
            (B, filters[level], Y / 2^level, X / 2^level) of every level.
        """
        maps: list[Tensor] = []
        value = image
        for level, block in enumerate(self.encoder):
            value = block(value if level == 0 else F.max_pool2d(value, 2))
            maps.append(value)
        return maps

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Features (B, D, Y, X) of the expansion, from the maps of :meth:`encode`."""
        *skips, value = maps
        for level in reversed(range(len(self.up))):
            value = self.decoder[level](torch.cat([skips[level], self.up[level](value)], dim=1))
        return value

    def features(self, image: Tensor) -> Tensor:
        """Decoder features before the head.

        Args:
            image: (B, C, Y, X) float.

        Returns:
            (B, D, Y, X) with D = ``filters[0]``.
        """
        height, width = image.shape[-2:]
        maps = self.encode(pad_to_multiple(image, self.multiple))
        return self.decode(maps)[..., :height, :width]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of an image (B, C, Y, X)."""
        logits: Tensor = self.head(self.features(image))
        return logits
