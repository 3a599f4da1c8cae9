import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from lotus.transforms.resampling import Resampling, resampling

SIZE = (37, 50)
SIZES = [(19, 50), (74, 25), (37, 99), (9, 13), (200, 7), (1, 1)]


@pytest.fixture
def image():
    return np.random.default_rng(0).random((3, *SIZE), np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_intensities_are_those_of_antialiased_linear_interpolation(image, size):
    found = Resampling(SIZE, size).image(image)
    expected = interpolate(torch.from_numpy(image)[None], size, mode="bilinear", antialias=True)
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_those_of_the_whole_image(image, size, monkeypatch):
    grids = Resampling(SIZE, size)
    whole = grids.image(image)
    monkeypatch.setattr("lotus.transforms.resampling.ROWS_AT_ONCE", 4)
    asked = []

    def read(start, stop):
        asked.append(stop - start)
        return image[:, start:stop]

    parts = [grids.rows(read, y, min(y + 5, size[0])) for y in range(0, size[0], 5)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    assert max(asked) <= 4 + 2 * max(SIZE[0] / size[0], 1) + 1


def test_a_flat_image_stays_within_its_range():
    ones = np.ones((1, *SIZE), np.float32)
    assert Resampling(SIZE, (29, 71)).image(ones).max() <= 1.0


@pytest.mark.parametrize("size", SIZES)
def test_labels_are_those_of_the_nearest_pixel(size):
    labels = np.random.default_rng(0).integers(0, 300, SIZE).astype(np.uint16)
    grids = Resampling(SIZE, size)
    rows = [int((y + 0.5) * SIZE[0] / size[0]) for y in range(size[0])]
    columns = [int((x + 0.5) * SIZE[1] / size[1]) for x in range(size[1])]
    found = grids.labels(labels)
    np.testing.assert_array_equal(found, labels[np.ix_(rows, columns)])
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(grids.back(found), Resampling(size, SIZE).labels(found))


def test_labels_come_back_from_a_finer_grid_unchanged():
    labels = np.random.default_rng(0).integers(0, 300, SIZE)
    grids = Resampling(SIZE, (74, 150))
    np.testing.assert_array_equal(grids.back(grids.labels(labels)), labels)


@pytest.mark.parametrize(
    ("found", "wanted", "network"),
    [
        ((0.5, 0.5), (2.0, 2.0), (25, 50)),
        ((2.0, 2.0), (0.5, 0.5), (400, 800)),
        ((0.5, 2.0), (1.0, 1.0), (50, 400)),
        ((0.5, 1.004), (1.0, 1.0), (50, 200)),
        ((1.02, 1.02), (1.0, 1.0), (102, 204)),
        ((1.0, 1.0), (16.0, 16.0), (6, 12)),
    ],
)
def test_the_field_stays_the_same(found, wanted, network):
    grids = resampling((100, 200), found, wanted)
    assert grids == Resampling((100, 200), network)
    np.testing.assert_allclose(
        np.multiply(grids.spacing_um(found), network), np.multiply(found, (100, 200))
    )


@pytest.mark.parametrize("found", [(1.0, 1.0), (1.009, 0.991)])
def test_equal_pixel_sizes_are_left_alone(found):
    assert resampling((100, 200), found, (1.0, 1.0)) is None


@pytest.mark.parametrize("found", [(0.06, 1.0), (1.0, 17.0)])
def test_sizes_that_cannot_both_be_right_are_refused(found):
    with pytest.raises(ValueError, match="those of the network 1 µm: more than 16 times apart"):
        resampling((100, 200), found, (1.0, 1.0))
