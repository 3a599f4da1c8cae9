"""The noise predictor Φ of the feature diffusion."""

import math

import torch
from torch import Tensor, nn


def timestep_embedding(timesteps: Tensor, dimensions: int) -> Tensor:
    """Sinusoidal embedding (Vaswani 2017; Ho 2020) of timesteps (B,), shape (B, dimensions)."""
    half = dimensions // 2
    exponent = torch.arange(half, device=timesteps.device, dtype=torch.float32) / half
    angles = timesteps.float()[:, None] * torch.exp(-math.log(10_000.0) * exponent)[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Bottleneck(nn.Module):
    """ResNet bottleneck (1x1, 3x3, 1x1) whose middle is shifted by the timestep.

    GroupNorm rather than BatchNorm: the denoiser sees features at several noise levels in one
    pass, which running statistics would mix.
    """

    def __init__(self, channels: int, hidden_channels: int, embedding: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden_channels, kernel_size=1)
        self.time = nn.Linear(embedding, hidden_channels)
        self.norm = nn.GroupNorm(1, hidden_channels)
        self.middle = nn.Conv2d(hidden_channels, hidden_channels, kernel_size=3, padding=1)
        self.expand = nn.Conv2d(hidden_channels, channels, kernel_size=1)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Features (B, D, Y, X) and embedding (B, E) -> (B, D, Y, X)."""
        value = self.reduce(features) + self.time(embedding)[..., None, None].to(features.dtype)
        value = self.middle(torch.relu(self.norm(value)))
        residual: Tensor = self.expand(torch.relu(value))
        return features + residual


class Denoiser(nn.Module):
    """Φ(z_t, t): the noise in a feature map, from two ResNet bottleneck blocks (LOTUS, eq. 2).

    Args:
        channels: Channels D of the features.
        hidden_channels: Channels inside the bottlenecks.
        embedding: Length of the timestep embedding.
    """

    def __init__(self, channels: int, hidden_channels: int = 16, embedding: int = 32) -> None:
        super().__init__()
        self.embedding = embedding
        self.first = Bottleneck(channels, hidden_channels, embedding)
        self.second = Bottleneck(channels, hidden_channels, embedding)
        self.out = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Predicted noise (B, D, Y, X) of features (B, D, Y, X) at timesteps (B,)."""
        embedding = timestep_embedding(timesteps, self.embedding)
        noise: Tensor = self.out(self.second(self.first(noisy, embedding), embedding))
        return noise
