import io

import pytest
import torch
from torch import nn

from lotus.networks import UNet, with_own_norm_layers


def numbers(*modules):
    """Number of distinct weights of several modules."""
    distinct = {weight for module in modules for weight in module.parameters()}
    return sum(weight.numel() for weight in distinct)


def streams(**options):
    network = UNet(**({"filters": (4, 8)} | options))
    return network, with_own_norm_layers(network)


def norm_state(network):
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    return {
        f"{name}.{key}": value.clone()
        for name in names
        for key, value in network.get_submodule(name).state_dict().items()
    }


def test_the_second_stream_costs_one_more_set_of_norm_weights():
    network, other = streams(filters=(16, 32, 64, 128, 256))
    norm = sum(
        layer.weight.numel() + layer.bias.numel()
        for layer in network.modules()
        if isinstance(layer, nn.BatchNorm2d)
    )
    # Two layers per block, scale and shift: 4 x (16 + ... + 256) encoding, 4 x (16 ... 128) back.
    assert norm == 4 * (496 + 240)
    assert numbers(network, other) == numbers(network) + norm


def test_both_streams_start_alike():
    network, other = streams()
    image = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(network.eval()(image), other.eval()(image), rtol=0, atol=0)


@pytest.mark.parametrize("which", [0, 1])
def test_images_of_a_modality_move_its_own_statistics_only(which):
    pair = streams()
    before = [norm_state(network) for network in pair]
    pair[which](5 * torch.rand(2, 3, 16, 16)).sum().backward()
    after = [norm_state(network) for network in pair]
    changed = [
        {name for name, value in old.items() if not torch.equal(value, new[name])}
        for old, new in zip(before, after, strict=True)
    ]
    assert not changed[1 - which]
    assert changed[which] == {name for name in before[0] if "running" in name or "num" in name}


@pytest.mark.parametrize("which", [0, 1])
def test_a_gradient_reaches_shared_weights_and_own_norm_layers(which):
    pair = streams()
    pair[which](torch.rand(2, 3, 16, 16)).square().sum().backward()
    other_norm = {
        weight
        for layer in pair[1 - which].modules()
        if isinstance(layer, nn.BatchNorm2d)
        for weight in layer.parameters()
    }
    for network in pair:
        for name, weight in network.named_parameters():
            assert (weight.grad is None) == (weight in other_norm), name


def test_a_step_on_one_stream_is_a_step_on_both():
    network, other = streams()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    before = network.head.weight.clone()
    other(torch.rand(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    assert not torch.equal(network.head.weight, before)
    assert network.head.weight is other.head.weight


def test_weights_stay_shared_on_a_move_and_are_stored_once():
    both = nn.ModuleList(streams(filters=(16, 32)))
    both.to(torch.float64).to(memory_format=torch.channels_last)
    assert both[0].head.weight is both[1].head.weight
    sizes = []
    for module in (both[0], both):
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        sizes.append(file.tell())
    assert sizes[1] < 1.5 * sizes[0]


def test_a_network_that_does_not_normalise_is_refused():
    with pytest.raises(ValueError, match="Conv2d has no normalisation layer"):
        with_own_norm_layers(nn.Conv2d(3, 1, 1))
