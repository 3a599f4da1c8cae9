import pytest
import torch
from torch.nn import functional as F

from lotus.networks import ModalityAwareFusion


def random_features(count=2, channels=4, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(2, channels, 6, 6, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_attention_is_a_share_per_channel_and_pixel(scale):
    maps = ModalityAwareFusion(4, 1, modalities=3).attention(random_features(3, scale=scale))
    assert len(maps) == 3
    for own in maps:
        assert own.shape == (2, 4, 6, 6)
        assert own.min() >= 0
        assert own.max() <= 1
        assert own.std() > 0


def test_equations_of_the_paper():
    fusion = ModalityAwareFusion(4, 2)
    features = random_features()
    common = F.conv2d(torch.cat(features, 1), fusion.common.weight, fusion.common.bias, padding=1)
    fused = torch.zeros_like(common)
    for own, gate in zip(features, fusion.gates, strict=True):
        hidden = F.conv2d(torch.cat([own, common], 1), gate[0].weight, gate[0].bias, padding=1)
        mean = hidden.mean((2, 3), keepdim=True)
        sd = (hidden.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        normal = (hidden - mean) / sd
        active = torch.where(normal > 0, normal, 0.01 * normal)
        attention = torch.sigmoid(F.conv2d(active, gate[3].weight, gate[3].bias, padding=1))
        fused += attention * own
    expected = torch.einsum("kd,bdyx->bkyx", fusion.head.weight[..., 0, 0], fused)
    expected += fusion.head.bias[:, None, None]
    torch.testing.assert_close(fusion(features), expected, atol=1e-5, rtol=1e-5)


def test_number_of_weights():
    width, classes, kernel = 16, 1, 9
    common = kernel * 2 * width * width + width
    gate = (kernel * 2 * width * width + width) + 2 * width + (kernel * width * width + width)
    head = width * classes + classes
    fusion = ModalityAwareFusion(width, classes)
    assert sum(weight.numel() for weight in fusion.parameters()) == common + 2 * gate + head


def test_features_of_unlike_size_are_refused():
    first, second = random_features()
    with pytest.raises(ValueError, match=r"same patch_size and network"):
        ModalityAwareFusion(4, 1)([first, second[..., :4]])
