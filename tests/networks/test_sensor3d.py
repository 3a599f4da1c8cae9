import pytest
import torch

from lotus.networks import Sensor3D, UNet

SMALL = {"filters": (4, 8, 8)}


def sensor(**options) -> Sensor3D:
    return Sensor3D(1, 3, **SMALL, **options).eval()


def parameters(network) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("first", "unet", "sensor3d"), [(32, 1.93, 11.5), (64, 7.70, 46.0)])
def test_parameters_are_those_of_the_methods(first, unet, sensor3d):
    filters = [first, 2 * first, 4 * first, 8 * first]
    with torch.device("meta"):
        counts = [parameters(n(1, 4, filters=filters)) / 1e6 for n in (UNet, Sensor3D)]
    assert counts == [pytest.approx(unet, abs=0.005), pytest.approx(sensor3d, abs=0.05)]


def test_the_usual_network_is_that_of_32_filters():
    with torch.device("meta"):
        assert round(parameters(Sensor3D()) / 1e6, 1) == 11.5


@pytest.mark.parametrize("slices", [1, 3, 5])
@pytest.mark.parametrize("size", [(16, 24), (13, 21)])
def test_logits_have_the_size_of_the_slice(slices, size):
    assert sensor(slices=slices)(torch.rand(2, slices, 1, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("readout", ["final_sum", "centre"])
def test_reversed_slices_and_exchanged_directions_give_the_same(readout):
    network, slab = sensor(readout=readout), torch.rand(2, 3, 1, 16, 16)
    exchanged = sensor(readout=readout)
    renamed = {"ahead": "back", "back": "ahead"}
    weights = {
        ".".join(renamed.get(part, part) for part in name.split(".")): weight
        for name, weight in network.state_dict().items()
    }
    exchanged.load_state_dict(weights)
    torch.testing.assert_close(exchanged(slab.flip(1)), network(slab))
    assert not torch.allclose(network(slab.flip(1)), network(slab), atol=1e-5)


def test_a_shift_by_the_stride_shifts_the_logits():
    network, slab = sensor(), torch.rand(1, 3, 1, 64, 64)
    moved = network(slab.roll((4, 8), dims=(-2, -1)))
    far = (..., slice(24, 40), slice(24, 40))
    torch.testing.assert_close(moved[far], network(slab).roll((4, 8), dims=(-2, -1))[far])


@pytest.mark.parametrize("readout", ["final_sum", "centre"])
def test_each_slice_of_a_slab_is_looked_at(readout):
    slab = torch.rand(1, 3, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(sensor(readout=readout)(slab).sum(), slab)
    assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()


def test_readouts_are_where_the_directions_end_and_where_they_meet():
    """With LSTMs replaced by what says whence each direction comes."""

    class Recorder(torch.nn.Module):
        def forward(self, slab):
            return slab

        def last(self, before, after):
            self.read = before.shape[1], after.shape[1]
            return before[:, -1] + after[:, 0]

    slab = torch.rand(1, 5, 1, 16, 16)
    for readout, read in (("final_sum", (5, 5)), ("centre", (3, 3))):
        network = sensor(slices=5, readout=readout)
        network.bottom, network.top = Recorder(), Recorder()
        features = network.features(slab)
        assert network.top.read == read
        single = [network.unet.features(slab[:, t]) for t in range(5)]
        ends = (single[4], single[0]) if readout == "final_sum" else (single[2], single[2])
        torch.testing.assert_close(features, ends[0] + ends[1])


def test_with_one_slice_both_readouts_are_one():
    network, slab = sensor(slices=1), torch.rand(1, 1, 1, 16, 16)
    other = sensor(slices=1, readout="centre")
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(slab), network(slab))


def test_a_slab_without_a_middle_slice_is_refused():
    with pytest.raises(ValueError, match=r"slices is 4; expected 1, 3"):
        Sensor3D(slices=4)
