import pytest
import torch
from torch import nn

from lotus.networks.mediar import MEDIARFormer


def tiny_network():
    return MEDIARFormer("mit_b0", decoder_channels=(8, 8, 8, 8, 8), decoder_pab_channels=4)


def test_output_is_two_flows_and_a_foreground():
    network = tiny_network().eval()
    image = torch.rand(1, 3, 32, 64)
    output = network(image)
    assert output.shape == (1, 3, 32, 64)
    with torch.no_grad():
        network.foreground_head[-1].bias += 1.0
    difference = network(image) - output
    torch.testing.assert_close(difference[:, :2], torch.zeros(1, 2, 32, 64))
    torch.testing.assert_close(difference[:, 2], torch.ones(1, 32, 64))


@pytest.mark.parametrize("size", [(48, 70), (33, 20), (1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_any_size_gives_an_output_of_that_size(size, training):
    output = tiny_network().train(training)(torch.rand(2, 3, *size))
    assert output.shape == (2, 3, *size)
    assert output.isfinite().all()


def test_no_relu_is_left():
    kinds = [type(module) for module in tiny_network().modules()]
    assert nn.ReLU not in kinds
    assert nn.Mish in kinds


@pytest.mark.slow
def test_numbers_of_parameters():
    # MiT-B5: 81.4 M (Xie et al., SegFormer, NeurIPS 2021, Table 1); the whole as docs/baselines.md.
    network = MEDIARFormer()
    parts = (network.encoder, network)
    counts = [sum(weight.numel() for weight in part.parameters()) for part in parts]
    assert [round(count / 1e6, 1) for count in counts] == [81.4, 121.3]
