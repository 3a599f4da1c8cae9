"""The noise adapter, which decides how much noise a student's feature already carries."""

from torch import Tensor, nn


class NoiseAdapter(nn.Module):
    """One mixing weight per sample: convolution block, global average pool, sigmoid.

    Args:
        channels: Channels D of the features.
        hidden_channels: Channels of the convolution block.
    """

    def __init__(self, channels: int, hidden_channels: int = 8) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, hidden_channels, kernel_size=3, stride=2, padding=1),
            nn.GroupNorm(1, hidden_channels),
            nn.ReLU(inplace=True),
        )
        self.weight = nn.Linear(hidden_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """γ in (0, 1), shape (B, 1, 1, 1), of features (B, D, Y, X); 1 means clean."""
        pooled = self.block(features).mean(dim=(-2, -1))
        gamma: Tensor = self.weight(pooled).float().sigmoid()
        return gamma[..., None, None]
