"""Heads that make classes of pixels from the tokens of a vision transformer."""

from itertools import pairwise
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lotus.networks.vision_tokens import VisionTokens

GROUPS = 8
FEWEST = 16
"""Channels that no stage goes below."""


class TokenDecoder(nn.Module):
    """Patch tokens and attention maps, upsampled step by step beside a shallow stem of the image.

    The tokens of all blocks and the attention of the last are fused at the size of the patches (14
    × 14 of 224 px); every step doubles the size by bilinear interpolation and a convolution. Two
    strided convolutions of the image itself join at a quarter and at half of its size, for
    boundaries finer than a patch.

    Args:
        classes: K, besides background.
        dim: Width D of the encoder's tokens.
        blocks: How many blocks they come from.
        attention: Attention heads of the encoder; 0 leaves their maps out.
        stem: Channels of the stem; 0 leaves it out.
        width: Channels of the fused tokens; halved with every step, down to 16.
        patch: Side of a patch in pixels, a power of two of at least 4.
        in_channels: Channels C of images.

    Raises:
        ValueError: A patch that is no such power, or a width that is no multiple of 8.
    """

    def __init__(
        self,
        classes: int,
        dim: int = 384,
        blocks: int = 4,
        attention: int = 6,
        stem: int = 16,
        width: int = 128,
        patch: int = 16,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if patch < 4 or patch & (patch - 1):
            raise ValueError(f"patch is {patch}; expected a power of two of at least 4")
        if width < GROUPS or width % GROUPS:
            raise ValueError(f"width is {width}; expected a multiple of {GROUPS}")
        self.classes, self.dim, self.blocks, self.attention = classes, dim, blocks, attention
        self.stem, self.width, self.patch, self.in_channels = stem, width, patch, in_channels
        steps = int(log2(patch))
        widths = [width, *(max(min(FEWEST, width), width >> step) for step in range(1, steps + 1))]
        self.fuse = _convolution(blocks * dim + attention, width, kernel_size=1)
        # What is beside the upsampled map: nothing but for the stem at 1/4 and 1/2.
        beside = [stem if step in (steps - 2, steps - 1) else 0 for step in range(1, steps + 1)]
        self.steps = nn.ModuleList(
            _convolution(before + extra, after)
            for (before, after), extra in zip(pairwise(widths), beside, strict=True)
        )
        self.halves = nn.ModuleList()
        if stem:
            self.halves = nn.ModuleList(
                (_convolution(in_channels, stem, stride=2), _convolution(stem, stem, stride=2))
            )
        self.classify = nn.Conv2d(widths[-1], classes + 1, kernel_size=1)

    def forward(self, tokens: VisionTokens) -> Tensor:
        """Logits (B, K + 1, Y, X) of the image, background first."""
        # Token by token: blocks differ in scale, and what is learnt must not depend on the size
        # of the image.
        maps = [_normalised(each) for each in tokens.maps]
        if self.attention:
            maps.append(tokens.attention.to(maps[0].dtype))
        found: Tensor = self.fuse(torch.cat(maps, dim=1))
        fine = self._stem(tokens.image)
        for step in self.steps:
            found = F.interpolate(found, scale_factor=2, mode="bilinear", align_corners=False)
            beside = [each for each in fine if each.shape[-2:] == found.shape[-2:]]
            found = step(torch.cat((found, *beside), dim=1))
        logits: Tensor = self.classify(found)
        return logits

    def _stem(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for half in self.halves:
            image = half(image)
            maps.append(image)
        return maps


class ImageHead(nn.Module):
    """A head that looks at the image alone, such as a U-Net: the baseline without an encoder.

    Args:
        classes: K, besides background.
        network: ``forward(image (B, C, Y, X)) -> logits (B, K + 1, Y, X)``.
    """

    def __init__(self, classes: int, network: nn.Module) -> None:
        super().__init__()
        self.classes = classes
        self.network = network

    def forward(self, tokens: VisionTokens) -> Tensor:
        """Logits (B, K + 1, Y, X) of the image, background first."""
        logits: Tensor = self.network(tokens.image)
        return logits


def _convolution(
    channels: int, filters: int, kernel_size: int = 3, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.GroupNorm(min(GROUPS, filters), filters),
        nn.GELU(),
    )


def _normalised(tokens: Tensor) -> Tensor:
    return F.layer_norm(tokens.movedim(1, -1), tokens.shape[1:2]).movedim(-1, 1)
