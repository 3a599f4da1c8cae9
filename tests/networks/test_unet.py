import pytest
import torch

from lotus.networks import UNet


def test_published_size():
    # LOTUS's student: 1.94 million parameters with one logit.
    assert sum(weight.numel() for weight in UNet().parameters()) == 1_942_577


@pytest.mark.parametrize("size", [(16, 16), (20, 37), (5, 9), (1, 1)])
def test_any_size_gives_logits_of_that_size(size):
    network = UNet(filters=(4, 8, 8)).eval()
    assert network(torch.rand(1, 3, *size)).shape == (1, 1, *size)


def test_head_of_features_is_forward():
    network = UNet(in_channels=1, out_channels=3, filters=(4, 8)).eval()
    image = torch.rand(2, 1, 12, 12)
    features = network.features(image)
    assert features.shape == (2, 4, 12, 12)
    torch.testing.assert_close(network.head(features), network(image))


def test_padding_does_not_move_the_image():
    # The receptive field of a two-level network is far smaller than 32 pixels.
    network = UNet(filters=(4, 8)).eval()
    image = torch.rand(1, 3, 65, 64)
    torch.testing.assert_close(
        network(image)[..., :32, :], network(image[..., :64, :])[..., :32, :]
    )


def test_a_slope_makes_every_activation_leaky():
    """Below zero the features of the first convolution go on, by that slope."""
    plain, leaky = UNet(filters=(4, 8)), UNet(filters=(4, 8), negative_slope=0.01)
    leaky.load_state_dict(plain.state_dict())
    slopes = [m.negative_slope for m in leaky.modules() if isinstance(m, torch.nn.LeakyReLU)]
    assert slopes == [0.01] * 6
    assert not any(isinstance(module, torch.nn.ReLU) for module in leaky.modules())
    inside = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(
        leaky.encoder[0][2](inside.clone()), torch.where(inside > 0, inside, 0.01 * inside)
    )
    torch.testing.assert_close(plain.encoder[0][2](inside.clone()), inside.clamp(min=0))


@pytest.mark.parametrize("arguments", [{"filters": (8,)}, {"in_channels": 0}, {"out_channels": 0}])
def test_impossible_shapes_are_refused(arguments):
    with pytest.raises(ValueError, match="at least two levels and positive channel counts"):
        UNet(**arguments)


@pytest.mark.parametrize("prior", [0.01, 0.5, 0.9])
def test_a_new_network_says_the_prior_where_it_sees_nothing(prior):
    network = UNet(filters=(4, 8), foreground_prior=prior)
    features = torch.zeros(1, 4, 2, 2)
    torch.testing.assert_close(network.head(features).sigmoid(), torch.full((1, 1, 2, 2), prior))


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1])
def test_a_prior_is_a_probability(prior):
    with pytest.raises(ValueError, match=rf"foreground_prior is {prior:g}; expected in \(0, 1\)"):
        UNet(filters=(4, 8), foreground_prior=prior)
