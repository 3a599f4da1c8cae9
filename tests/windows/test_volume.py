"""Volumes through a network, slab by slab."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import SlidingWindowInferer
from torch import nn

from lotus.windows import predict_slices, slab_indices, slab_input, slab_reach


def volume(shape=(7, 70, 45), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def middle_network(slices: int) -> nn.Module:
    """Classes of the middle slice from slices as channels."""
    torch.manual_seed(slices)
    return nn.Sequential(
        nn.Conv2d(slices, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2)
    ).eval()


def volumetric_network() -> nn.Module:
    torch.manual_seed(9)
    return nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv3d(3, 2, 3, padding=1))


def predictor(network):
    def predict(windows):
        with torch.inference_mode():
            return network(torch.from_numpy(windows)).softmax(1)

    return predict


def predicted(predict, image, z_range=None, **options):
    """Probabilities (Z', K, Y, X), and the numbers of the slices."""
    options = {"slices": 3, "window": 32, "overlap": 0.25, "batch_size": 2} | options
    z_range = z_range or (0, len(image))
    found = list(predict_slices(predict, lambda a, b: image[a:b], image.shape, z_range, **options))
    return np.stack([values for _, values in found]), [index for index, _ in found]


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_each_slice_is_that_of_monai_with_its_neighbours_as_channels(slices):
    image, network = volume(), middle_network(slices)
    found, numbers = predicted(predictor(network), image, slices=slices)
    assert numbers == list(range(7))
    inferer = SlidingWindowInferer((32, 32), 4, 0.25, mode="gaussian")
    reach = slices // 2
    repeated = np.concatenate([image[:1]] * reach + [image] + [image[-1:]] * reach)
    for index in range(7):
        slab = torch.from_numpy(repeated[index : index + slices])[None]
        with torch.inference_mode():
            expected = inferer(slab, lambda x: network(x).softmax(1))[0]
        np.testing.assert_allclose(found[index], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("depth", "overlap"), [(4, 0.25), (9, 0.25), (10, 0.5), (9, 0.0)])
def test_slabs_that_are_predicted_whole_are_blended_along_z_as_well(depth, overlap):
    size, roi = (depth, 33, 45), (4, 32, 32)
    image, network = volume(size), volumetric_network()
    # MONAI's own weights of volumes differ in the corners, where it cuts off small ones.
    plane = compute_importance_map(roi[1:], mode="gaussian").double()
    weights = compute_importance_map(roi[:1], mode="gaussian").double()[:, None, None] * plane
    total, weight = torch.zeros(2, *size, dtype=torch.double), torch.zeros(size).double()
    for place in dense_patch_slices(size, roi, [max(int(s * (1 - overlap)), 1) for s in roi]):
        with torch.inference_mode():
            given = network(torch.from_numpy(image[place])[None, None]).softmax(1)[0]
        total[:, *place] += weights * given
        weight[place] += weights

    found, _ = predicted(
        lambda windows: predictor(network)(windows[:, None]),
        image,
        **{"slices": 4, "output_slices": 4, "overlap": overlap, "batch_size": 3},
    )
    np.testing.assert_allclose(found.swapaxes(0, 1), (total / weight).numpy(), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.data(), st.sampled_from([(3, 1), (4, 4), (5, 3)]), st.integers(1, 11))
def test_a_slice_is_the_same_to_the_bit_in_whatever_part_it_is_asked_for(data, slab, depth):
    slices, output_slices = slab
    image = volume((depth, 20, 33))

    def predict(windows):
        mean = torch.from_numpy(windows).cumsum(1)[:, :output_slices]
        return torch.stack((mean, 1 - mean.sin()), 1)

    options = {"slices": slices, "output_slices": output_slices, "overlap": 0.5}
    whole, _ = predicted(predict, image, **options)
    first = data.draw(st.integers(0, depth - 1))
    stop = data.draw(st.integers(first + 1, depth))
    part, numbers = predicted(predict, image, (first, stop), **options)
    assert numbers == list(range(first, stop))
    assert np.array_equal(part, whole[first:stop])


def test_a_volume_with_fewer_slices_than_a_slab_keeps_its_depth():
    found, numbers = predicted(
        lambda windows: torch.from_numpy(windows)[:, None],
        volume((2, 20, 20)),
        slices=8,
        output_slices=8,
    )
    assert numbers == [0, 1]
    np.testing.assert_allclose(found[:, 0], volume((2, 20, 20)), atol=1e-6)


def test_every_slice_is_read_once_and_no_more_than_the_part_needs():
    asked = []

    def read(start, stop):
        asked.extend(range(start, stop))
        return np.zeros((stop - start, 20, 20), np.float32)

    def zeros(windows):
        return torch.zeros(len(windows), 2, *windows.shape[2:])

    options = {"window": 32, "overlap": 0.25, "batch_size": 1}
    list(predict_slices(zeros, read, (20, 20, 20), (6, 11), slices=5, **options))
    assert asked == list(range(4, 13))


def test_the_ends_of_a_volume_are_repeated():
    assert slab_indices(-1, 3, 9).tolist() == [0, 0, 1]
    assert slab_indices(7, 3, 9).tolist() == [7, 8, 8]
    assert slab_indices(-2, 5, 1).tolist() == [0] * 5


@pytest.mark.parametrize(("slices", "output_slices"), [(1, 1), (3, 1), (5, 1), (4, 4), (7, 3)])
def test_the_reach_is_that_of_the_slabs_that_speak_of_a_slice(slices, output_slices):
    margin = (slices - output_slices) // 2
    starts = range(-slices, slices + 1)
    speaking = [s for s in starts if s + margin <= 0 < s + margin + output_slices]
    reached = {z for start in speaking for z in range(start, start + slices)}
    assert max(reached) == -min(reached) == slab_reach(slices, output_slices)


def test_grey_slabs_are_repeated_over_the_channels_of_a_network():
    slab = volume((4, 8, 8))[None]
    given = slab_input(slab, 3, torch.device("cpu"))
    assert given.shape == (1, 4, 3, 8, 8)
    for channel in range(3):
        assert np.array_equal(given[:, :, channel].numpy(), slab)


@pytest.mark.parametrize(
    ("z_range", "options", "wrong"),
    [
        ((3, 8), {}, "slices 3 ... 8 were asked for of a volume with 7"),
        ((3, 3), {}, "slices 3 ... 3"),
        ((-1, 2), {}, "slices -1 ... 2"),
        ((0, 7), {"slices": 4}, "4 slices of which 1 are predicted"),
        ((0, 7), {"slices": 3, "output_slices": 5}, "3 slices of which 5"),
        ((0, 7), {"window": 40}, "window is 40"),
    ],
)
def test_impossible_slabs_are_refused(z_range, options, wrong):
    with pytest.raises(ValueError, match=wrong):
        predicted(predictor(middle_network(3)), volume(), z_range, **options)
