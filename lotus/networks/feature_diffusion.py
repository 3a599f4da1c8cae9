"""Diffusion of teacher features and DDIM denoising of student features."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lotus.networks.denoiser import Denoiser
from lotus.networks.noise_adapter import NoiseAdapter

TRAINING_TIMESTEPS = 1000


class FeatureDiffusion(nn.Module):
    """The denoiser Φ, the noise adapter and the schedule that joins them (LOTUS, eq. 1-3).

    The schedule is linear, β from 1e-4 to 0.02 over 1000 steps; inference is DDIM (Song 2020)
    with η = 0 at ``inference_steps`` timesteps, 100 apart and ending at 0: 400, 300, 200, 100, 0
    by default. It assumes features of zero mean and unit variance per channel.

    Args:
        channels: Channels D of the teacher's features.
        hidden_channels: Channels inside Φ.
        inference_steps: DDIM steps, 1 to 10.

    Raises:
        ValueError: ``inference_steps`` out of range.
    """

    def __init__(
        self, channels: int, *, hidden_channels: int = 16, inference_steps: int = 5
    ) -> None:
        from monai.networks.schedulers import DDIMScheduler  # Only a distillation loads MONAI.

        super().__init__()
        if not 1 <= inference_steps <= 10:
            raise ValueError(f"inference_steps is 1 to 10, got {inference_steps}")
        self.denoiser = Denoiser(channels, hidden_channels)
        self.adapter = NoiseAdapter(channels)
        self.scheduler = DDIMScheduler(
            num_train_timesteps=TRAINING_TIMESTEPS,
            schedule="linear_beta",
            beta_start=1e-4,
            beta_end=0.02,
            clip_sample=False,
        )
        # MONAI steps back by 1000 / 10 = 100, but spreads its own timesteps over 999..0 instead.
        self.scheduler.set_timesteps(10)
        self.timesteps = [100 * step for step in reversed(range(inference_steps))]

    def noise_and_prediction(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Noise features at random timesteps and predict that noise (eq. 1-2).

        Args:
            features: Standardised teacher features (B, D, Y, X); no gradient is sent to them.

        Returns:
            The noise ε and Φ(z_t, t), both (B, D, Y, X).
        """
        features = features.detach().float()
        noise = torch.randn_like(features)
        timesteps = torch.randint(TRAINING_TIMESTEPS, (len(features),), device=features.device)
        noisy = self.scheduler.add_noise(features, noise, timesteps)
        return noise, self.denoiser(noisy, timesteps).float()

    def denoise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mix student features with noise, z_T = γ z + (1 - γ) ε, and denoise them (eq. 3).

        Gradient flows to the features and the noise adapter. Φ learns from the teacher's features
        alone: its weights enter detached.

        Args:
            features: Projected student features (B, D, Y, X).

        Returns:
            Denoised features (B, D, Y, X) and γ (B, 1, 1, 1).
        """
        features = features.float()
        gamma = self.adapter(features)
        value = gamma * features + (1 - gamma) * torch.randn_like(features)
        frozen = {name: weight.detach() for name, weight in self.denoiser.named_parameters()}
        for step in self.timesteps:
            timesteps = torch.full((len(value),), step, device=value.device)
            noise = functional_call(self.denoiser, frozen, (value, timesteps)).float()
            value, _ = self.scheduler.step(noise, step, value)
        return value, gamma
