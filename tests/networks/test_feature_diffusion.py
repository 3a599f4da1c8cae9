import pytest
import torch

from lotus.networks import FeatureDiffusion, Projector


def gradient_of(module):
    return [weight.grad for weight in module.parameters()]


def test_schedule_is_the_published_one():
    diffusion = FeatureDiffusion(channels=4)
    betas = diffusion.scheduler.betas
    assert diffusion.timesteps == [400, 300, 200, 100, 0]
    assert len(betas) == 1000
    assert betas[0] == pytest.approx(1e-4)
    assert betas[-1] == pytest.approx(0.02)
    assert (betas[1:] - betas[:-1]).std() < 1e-8


def test_noised_features_follow_equation_1():
    diffusion = FeatureDiffusion(channels=2)
    seen = {}

    def record(_, inputs):
        seen["noisy"], seen["timesteps"] = inputs

    diffusion.denoiser.register_forward_pre_hook(record)
    features = torch.randn(3, 2, 8, 8)
    noise, _ = diffusion.noise_and_prediction(features)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), dim=0)[seen["timesteps"]]
    kept = kept.view(3, 1, 1, 1)
    torch.testing.assert_close(seen["noisy"], kept.sqrt() * features + (1 - kept).sqrt() * noise)


def test_timesteps_are_drawn_from_the_whole_schedule():
    diffusion = FeatureDiffusion(channels=1, hidden_channels=1)
    drawn = []
    diffusion.denoiser.register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[1]))
    torch.manual_seed(0)
    diffusion.noise_and_prediction(torch.zeros(20_000, 1, 1, 1))
    assert drawn[0].unique().tolist() == list(range(1000))


def test_ddim_with_an_oracle_denoiser_recovers_the_clean_features():
    # If Φ knows z_0, DDIM with η = 0 must land on it whatever it starts from.
    diffusion = FeatureDiffusion(channels=2)
    clean = torch.randn(3, 2, 8, 8)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), dim=0)

    def oracle(noisy, timesteps):
        part = kept[timesteps].view(-1, 1, 1, 1)
        return (noisy - part.sqrt() * clean) / (1 - part).sqrt()

    diffusion.denoiser.forward = oracle
    denoised, _ = diffusion.denoise(torch.randn(3, 2, 8, 8))
    torch.testing.assert_close(denoised, clean, atol=1e-3, rtol=1e-3)


def test_gamma_is_one_weight_per_sample_between_0_and_1():
    _, gamma = FeatureDiffusion(channels=4).denoise(torch.randn(5, 4, 8, 8))
    assert gamma.shape == (5, 1, 1, 1)
    assert ((gamma > 0) & (gamma < 1)).all()


def test_noise_prediction_trains_the_denoiser_only():
    diffusion = FeatureDiffusion(channels=4)
    features = torch.randn(2, 4, 8, 8, requires_grad=True)
    noise, prediction = diffusion.noise_and_prediction(features)
    (prediction - noise).square().mean().backward()
    assert all(gradient is not None for gradient in gradient_of(diffusion.denoiser))
    assert all(gradient is None for gradient in gradient_of(diffusion.adapter))
    assert features.grad is None


def test_denoising_trains_projector_and_adapter_but_not_the_denoiser():
    diffusion, projector = FeatureDiffusion(channels=4), Projector(6, 4)
    features = torch.randn(2, 6, 8, 8, requires_grad=True)
    denoised, _ = diffusion.denoise(projector(features))
    denoised.square().mean().backward()
    assert all(gradient is None for gradient in gradient_of(diffusion.denoiser))
    assert any(gradient.abs().sum() > 0 for gradient in gradient_of(diffusion.adapter))
    assert all(gradient.abs().sum() > 0 for gradient in gradient_of(projector))
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_schedule_and_noise_are_float32_whatever_the_network_computes_in(dtype):
    diffusion, features = FeatureDiffusion(channels=4), torch.randn(2, 4, 8, 8).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        values = [*diffusion.noise_and_prediction(features), *diffusion.denoise(features)]
    assert [value.dtype for value in values] == 4 * [torch.float32]


def test_one_step_is_enough_and_more_than_the_schedule_has_is_refused():
    assert FeatureDiffusion(channels=4, inference_steps=1).timesteps == [0]
    for steps in (0, 11):
        with pytest.raises(ValueError, match=f"inference_steps is 1 to 10, got {steps}"):
            FeatureDiffusion(channels=4, inference_steps=steps)
