"""Features of several modalities, weighed by attention and joined: the fusion of MAML."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ModalityAwareFusion(nn.Module):
    """Logits from the features F_i of modality-specific networks (MAML, Zhang et al. 2021).

    F = conv(cat F_i) is what the modalities have in common; A_i = sigmoid(conv(LeakyReLU(
    InstanceNorm(conv[F_i, F])))) says how much of F_i is to be used, for every channel and pixel;
    the logits are head(sum of A_i * F_i). Convolutions are 3 x 3, the head is 1 x 1.

    Args:
        channels: Channels D of every F_i.
        out_channels: Channels K of the logits.
        modalities: How many.
    """

    def __init__(self, channels: int, out_channels: int, modalities: int = 2) -> None:
        super().__init__()
        self.common = nn.Conv2d(modalities * channels, channels, kernel_size=3, padding=1)
        self.gates = nn.ModuleList(_gate(channels) for _ in range(modalities))
        self.head = nn.Conv2d(channels, out_channels, kernel_size=1)

    def attention(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The maps A_i (B, D, Y, X) in [0, 1] of features F_i (B, D, Y, X)."""
        common = self.common(torch.cat([*features], dim=1))
        return [
            gate(torch.cat([own, common], dim=1))
            for gate, own in zip(self.gates, features, strict=True)
        ]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, K, Y, X) of features F_i, each (B, D, Y, X).

        Raises:
            ValueError: Features of unlike shape.
        """
        shapes = {tuple(own.shape) for own in features}
        if len(shapes) > 1:
            raise ValueError(
                f"features of shapes {' and '.join(map(str, sorted(shapes)))} cannot be fused; "
                "give both modalities the same patch_size and network"
            )
        maps = torch.stack(self.attention(features))
        logits: Tensor = self.head((maps * torch.stack([*features])).sum(dim=0))
        return logits


def _gate(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, kernel_size=3, padding=1),
        nn.InstanceNorm2d(channels, affine=True),
        nn.LeakyReLU(0.01),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.Sigmoid(),
    )
