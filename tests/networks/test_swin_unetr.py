import pytest
import torch

from lotus.networks import SwinUNETR


def test_number_of_parameters_is_that_of_the_docs():
    assert sum(weight.numel() for weight in SwinUNETR().parameters()) == 25_139_275


@pytest.mark.parametrize("size", [(64, 64), (40, 75), (5, 9)])
def test_any_size_gives_logits_of_that_size(size):
    network = SwinUNETR(in_channels=1, out_channels=2, filters=12).eval()
    logits = network(torch.rand(1, 1, *size))
    assert logits.shape == (1, 2, *size)
    assert logits.isfinite().all()


def test_an_image_that_fits_is_given_to_monai_as_it_is():
    network = SwinUNETR(filters=12).eval()
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(network(image), network.network(image))


def test_gradient_reaches_every_weight():
    network = SwinUNETR(filters=12)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
