from copy import deepcopy

import pytest
import torch

from lotus.networks import DynUNet


@pytest.mark.parametrize(
    ("patch_size", "levels"), [(512, 8), (256, 7), (128, 6), (96, 5), (64, 5), (32, 4)]
)
def test_maps_are_halved_while_four_pixels_remain(patch_size, levels):
    network = DynUNet(patch_size=patch_size, filters=2)
    assert len(network.network.filters) == levels
    assert patch_size // 2 ** (levels - 1) >= 4 > patch_size // 2**levels


def test_filters_double_up_to_512():
    filters = DynUNet(patch_size=512).network.filters
    assert filters == [32, 64, 128, 256, 512, 512, 512, 512]


@pytest.mark.parametrize(("patch_size", "expected"), [(512, 46_311_494), (96, 7_762_755)])
def test_numbers_of_parameters_are_those_of_the_docs(patch_size, expected):
    with torch.device("meta"):
        network = DynUNet(patch_size=patch_size)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def test_outputs_come_finest_first_at_their_own_resolution():
    network = DynUNet(out_channels=2, patch_size=128, filters=2)
    outputs = network(torch.rand(2, 3, 128, 64))
    assert [output.shape[1:] for output in outputs] == [
        (2, 128, 64),
        (2, 64, 32),
        (2, 32, 16),
        (2, 16, 8),
    ]


@pytest.mark.parametrize("size", [(64, 64), (20, 37), (5, 9), (1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_any_size_gives_logits_of_that_size(size, training):
    network = DynUNet(in_channels=1, patch_size=32, filters=2).train(training)
    fine, coarse = network(torch.rand(2, 1, *size))
    assert fine.shape == (2, 1, *size)
    assert coarse.shape == (2, 1, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert fine.isfinite().all()


def test_the_first_output_is_what_monai_gives_at_inference():
    network = DynUNet(patch_size=32, filters=2).eval()
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(network(image)[0], network.network(image))


def test_gradient_reaches_every_weight():
    network = DynUNet(patch_size=64, filters=4)
    sum(output.square().mean() for output in network(torch.rand(2, 3, 64, 64))).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_a_network_can_be_copied_after_a_step():
    network = DynUNet(patch_size=64, filters=2)
    image = torch.rand(2, 3, 64, 64)
    sum(output.square().mean() for output in network(image)).backward()
    copied = deepcopy(network)
    assert all(head.numel() == 0 for head in network.network.heads), "no graph is kept"
    for output, expected in zip(copied(image), network(image), strict=True):
        torch.testing.assert_close(output, expected)


def test_a_patch_too_small_for_deep_supervision_is_refused():
    with pytest.raises(ValueError, match="patch_size of at least 32, got 31"):
        DynUNet(patch_size=31)
