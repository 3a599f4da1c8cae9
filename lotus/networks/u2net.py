"""U²-Net: a U of U-blocks, every level of which is supervised."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Filters = Sequence[Sequence[int]]

ENCODER_FILTERS = ((32, 64), (32, 128), (64, 256), (128, 512), (256, 512), (256, 512))
DECODER_FILTERS = ((16, 64), (32, 64), (64, 128), (128, 256), (256, 512))


class ResidualUBlock(nn.Module):
    """Residual U-block (RSU): a small U-Net added to what goes into it (Qin 2020, fig. 2).

    Args:
        in_channels: Channels of the input.
        middle_channels: Channels inside the U.
        out_channels: Channels of the output.
        dilations: Of the convolutions on the way down, the last of which is the bottom of the U.
        pool: What lies between two convolutions on the way down.
    """

    def __init__(
        self,
        in_channels: int,
        middle_channels: int,
        out_channels: int,
        dilations: Sequence[int],
        pool: nn.Module,
    ) -> None:
        super().__init__()
        middle = middle_channels
        *down, bottom = dilations
        self.pool = pool
        self.input = _convolution(in_channels, out_channels)
        self.encoder = nn.ModuleList(
            _convolution(middle if level else out_channels, middle, dilation)
            for level, dilation in enumerate(down)
        )
        self.bottom = _convolution(middle, middle, bottom)
        self.decoder = nn.ModuleList(
            _convolution(2 * middle, middle if level else out_channels, dilation)
            for level, dilation in enumerate(down)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, Y, X) -> (B, out_channels, Y, X)."""
        value = residual = self.input(features)
        skips: list[Tensor] = []
        for block in self.encoder:
            value = block(self.pool(value) if skips else value)
            skips.append(value)
        value = self.bottom(value)
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            value = block(torch.cat([_resize(value, skip), skip], dim=1))
        output: Tensor = residual + value
        return output


class U2Net(nn.Module):
    """U²-Net (Qin et al., Pattern Recognition 2020).

    The encoder is RSU-7, RSU-6, RSU-5, RSU-4, RSU-4F, RSU-4F, the decoder its mirror image. Each
    of the six levels gives logits, and a convolution fuses them. The defaults are the full network,
    44.0 million parameters; with (16, 64) everywhere it is the small one, 1.13 million. Images of
    any size: maps are up-sampled to the size of their skip.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        encoder_filters: (middle, output) channels of the six encoder blocks, finest first.
        decoder_filters: (middle, output) channels of the five decoder blocks, finest first.

    Raises:
        ValueError: Not six encoder and five decoder blocks of two channel counts each.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        encoder_filters: Filters = (
            (32, 64),
            (32, 128),
            (64, 256),
            (128, 512),
            (256, 512),
            (256, 512),
        ),
        decoder_filters: Filters = ((16, 64), (32, 64), (64, 128), (128, 256), (256, 512)),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.encoder_filters = [list(pair) for pair in encoder_filters]
        self.decoder_filters = [list(pair) for pair in decoder_filters]
        pairs = self.encoder_filters + self.decoder_filters
        if len(encoder_filters) != 6 or len(decoder_filters) != 5 or {len(p) for p in pairs} != {2}:
            raise ValueError(
                "U2Net needs (middle, output) channels of six encoder and five decoder blocks, got "
                f"encoder_filters={self.encoder_filters}, decoder_filters={self.decoder_filters}"
            )
        widths = [width for _, width in encoder_filters]
        decoded = [width for _, width in decoder_filters]
        deepest = widths[-1]
        self.encoder = nn.ModuleList(
            _block(level, before, *filters)
            for level, (before, filters) in enumerate(
                zip([in_channels, *widths[:-1]], encoder_filters, strict=True)
            )
        )
        self.decoder = nn.ModuleList(
            _block(level, skip + below, *filters)
            for level, (skip, below, filters) in enumerate(
                zip(widths[:-1], [*decoded[1:], deepest], decoder_filters, strict=True)
            )
        )
        self.sides = nn.ModuleList(
            nn.Conv2d(width, out_channels, kernel_size=3, padding=1)
            for width in [*decoded, deepest]
        )
        self.fuse = nn.Conv2d(6 * out_channels, out_channels, kernel_size=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Seven logits (B, K, Y, X) of an image (B, C, Y, X): fused, then finest level first."""
        value = image
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            value = block(_halve(value) if level else value)
            skips.append(value)
        levels = [skips.pop()]
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            levels.append(block(torch.cat([_resize(levels[-1], skip), skip], dim=1)))
        sides = [
            _resize(side(value), image)
            for side, value in zip(self.sides, reversed(levels), strict=True)
        ]
        return [self.fuse(torch.cat(sides, dim=1)), *sides]


def _block(level: int, in_channels: int, middle: int, out_channels: int) -> ResidualUBlock:
    """RSU-7 to RSU-4 at the first four levels; RSU-4F, dilated instead of pooled, below them."""
    if level < 4:
        dilations, pool = (*[1] * (6 - level), 2), nn.MaxPool2d(2, ceil_mode=True)
        return ResidualUBlock(in_channels, middle, out_channels, dilations, pool)
    return ResidualUBlock(in_channels, middle, out_channels, (1, 2, 4, 8), nn.Identity())


def _convolution(in_channels: int, out_channels: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _halve(features: Tensor) -> Tensor:
    return F.max_pool2d(features, 2, ceil_mode=True)


def _resize(features: Tensor, target: Tensor) -> Tensor:
    """Features (B, D, y, x) at the size (Y, X) of a target."""
    size = target.shape[-2:]
    if features.shape[-2:] == size:
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)
