import pytest
import torch
from torch import nn

from lotus.networks import UNetPlusPlus, features_and_logits

TINY = (4, 4, 4, 4, 4)


def test_size_is_near_the_published_one():
    # Zhou et al. print 9.04 M for up-sampling without transposed convolutions and BatchNorm.
    count = sum(weight.numel() for weight in UNetPlusPlus().parameters())
    assert count == pytest.approx(9.04e6, rel=0.01)


@pytest.mark.parametrize("size", [(16, 16), (20, 37), (5, 9), (1, 1)])
def test_four_outputs_of_the_size_of_the_image(size):
    network = UNetPlusPlus(in_channels=1, out_channels=2, filters=TINY).eval()
    outputs = network(torch.rand(2, 1, *size))
    assert [output.shape for output in outputs] == [(2, 2, *size)] * 4


def test_the_first_output_is_the_only_one_that_sees_all_levels():
    network = UNetPlusPlus(filters=TINY)
    bottom = network.network.conv_4_0
    image = torch.rand(2, 3, 32, 32)
    reached = []
    for output in network(image):
        network.zero_grad()
        output.sum().backward(retain_graph=True)
        gradients = [weight.grad for weight in bottom.parameters()]
        reached.append(any(gradient is not None for gradient in gradients))
    assert reached == [True, False, False, False]


def test_gradient_reaches_every_weight():
    network = UNetPlusPlus(filters=TINY)
    outputs = network(torch.rand(2, 3, 32, 32))
    torch.stack(outputs).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name


def test_features_are_those_of_the_first_output():
    network = UNetPlusPlus(out_channels=2, filters=TINY).eval()
    image = torch.rand(1, 3, 32, 32)
    features, logits = features_and_logits(network, image)
    torch.testing.assert_close(logits, network(image)[0])
    head = network.network.final_conv_0_4
    assert isinstance(head, nn.Conv2d)
    torch.testing.assert_close(head(features), logits)


@pytest.mark.parametrize("arguments", [{"filters": (4, 8)}, {"in_channels": 0}])
def test_impossible_shapes_are_refused(arguments):
    with pytest.raises(ValueError, match="five levels and positive channel counts"):
        UNetPlusPlus(**arguments)
