"""Swin-UNet: a U-Net of shifted-window transformer blocks without convolutions."""

from collections.abc import Sequence

import torch
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor, nn

from lotus.networks.padding import pad_to_multiple

PATCH = 4


class PatchExpanding(nn.Module):
    """Up-sampling by a linear layer whose channels become neighbouring pixels (Cao 2021).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        factor: How many times larger both sides become.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(in_channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, Y, X, C) -> (B, factor Y, factor X, out_channels)."""
        expanded: Tensor = self.norm(expand_patches(self.expand(features), self.factor))
        return expanded


class SwinUNet(nn.Module):
    """Swin-UNet (Cao et al., ECCV workshops 2022; arXiv 2105.05537).

    Patches of 4x4 pixels become tokens. The encoder halves their grid by patch merging, the decoder
    doubles it by patch expanding and joins the skips by a linear layer; the last expansion is
    fourfold, back to pixels. The defaults, for 512-px images, have 27 million parameters. Any
    image size will do: sides are padded to multiples of ``4 * 2 ** (levels - 1)`` and cropped back,
    and grids that are no multiple of the window are filled with zeros in attention, as in Swin.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        channels: Channels of the finest tokens, doubled from level to level.
        depths: Transformer blocks of each level, in the encoder and again in the decoder.
        heads: Attention heads of each level.
        window: Side of the attention windows, in tokens.
        drop_path: Stochastic depth of the deepest block; it grows linearly from 0.

    Raises:
        ValueError: Fewer than two levels, as many depths as heads not given, or channels that the
            heads do not divide.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        channels: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 8,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(len(depths))]
        if not 2 <= len(depths) == len(heads) or any(
            width % count for width, count in zip(widths, heads, strict=True)
        ):
            raise ValueError(
                "SwinUNet needs as many depths as heads, at least two, and heads that divide the "
                f"channels {widths} of their level, got depths={tuple(depths)}, "
                f"heads={tuple(heads)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.channels = channels
        self.depths = list(depths)
        self.heads = list(heads)
        self.window = window
        self.drop_path = drop_path
        self.multiple = PATCH * 2 ** (len(depths) - 1)
        rates = torch.split(torch.linspace(0, drop_path, sum(depths)), list(depths))
        levels = list(zip(widths, heads, rates, strict=True))
        self.embed = nn.Conv2d(in_channels, channels, kernel_size=PATCH, stride=PATCH)
        self.embed_norm = nn.LayerNorm(channels)
        self.encoder = nn.ModuleList(
            _blocks(width, count, window, rate) for width, count, rate in levels
        )
        self.merge = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.bottom_norm = nn.LayerNorm(widths[-1])
        self.expand = nn.ModuleList(PatchExpanding(2 * fine, fine, 2) for fine in widths[:-1])
        self.join = nn.ModuleList(nn.Linear(2 * fine, fine) for fine in widths[:-1])
        self.decoder = nn.ModuleList(
            _blocks(width, count, window, rate) for width, count, rate in levels[:-1]
        )
        self.norm = nn.LayerNorm(channels)
        self.to_pixels = PatchExpanding(channels, channels, PATCH)
        self.head = nn.Conv2d(channels, out_channels, kernel_size=1)
        self.apply(_initialise)

    def features(self, image: Tensor) -> Tensor:
        """Decoder features before the head.

        Args:
            image: (B, C, Y, X) float.

        Returns:
            (B, D, Y, X) with D = ``channels``.
        """
        height, width = image.shape[-2:]
        patches = self.embed(pad_to_multiple(image, self.multiple))
        value = self.embed_norm(patches.permute(0, 2, 3, 1))
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.encoder):
            value = blocks(self.merge[level - 1](value) if level else value)
            skips.append(value)
        value = self.bottom_norm(skips.pop())
        for level in reversed(range(len(self.decoder))):
            joined = torch.cat([self.expand[level](value), skips[level]], dim=-1)
            value = self.decoder[level](self.join[level](joined))
        pixels: Tensor = self.to_pixels(self.norm(value)).permute(0, 3, 1, 2)
        return pixels[..., :height, :width]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of an image (B, C, Y, X)."""
        logits: Tensor = self.head(self.features(image))
        return logits


def expand_patches(features: Tensor, factor: int) -> Tensor:
    """Turn channels into neighbouring pixels, in the order in which patch merging collects them.

    Args:
        features: (B, Y, X, factor² C); the offset along X varies slowest, then that along Y.
        factor: How many times larger both sides become.

    Returns:
        (B, factor Y, factor X, C).
    """
    batch, height, width, channels = features.shape
    grid = features.view(batch, height, width, factor, factor, channels // factor**2)
    return grid.permute(0, 1, 4, 2, 3, 5).reshape(batch, height * factor, width * factor, -1)


def _blocks(width: int, heads: int, window: int, rates: Tensor) -> nn.Sequential:
    """Swin blocks whose windows are shifted by half in every second one."""
    return nn.Sequential(
        *(
            SwinTransformerBlock(
                width,
                input_resolution=window,  # not used: masks follow the image that comes
                num_heads=heads,
                window_size=window,
                shift_size=window // 2 if index % 2 else 0,
                always_partition=True,
                dynamic_mask=True,
                drop_path=rate,
            )
            for index, rate in enumerate(rates.tolist())
        )
    )


def _initialise(module: nn.Module) -> None:
    """Weights as in Swin: a truncated normal distribution of SD 0.02, no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
