"""Windows and their blending."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices
from monai.inferers import SlidingWindowInferer
from torch import nn

from lotus.windows import blend_windows, read_bands, window_grid


def blended(image: np.ndarray, network: nn.Module, window: int, overlap: float, batch: int):
    """Stream an image (C, Y, X) through a network; probabilities (K, Y, X)."""
    grid = window_grid(image.shape[1:], window, overlap)
    bands = read_bands(lambda start, stop: image[:, start:stop], grid)

    def predict(windows):
        with torch.inference_mode():
            return network(torch.from_numpy(windows)).softmax(1)

    return np.concatenate(list(blend_windows(predict, bands, grid, batch)), axis=1)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2)
    ).eval()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from([32, 64, 96]),
    st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)
def test_windows_cover_every_pixel_and_stay_inside(height, width, window, overlap):
    grid = window_grid((height, width), window, overlap)
    covered = np.zeros(grid.padded, int)
    for y in grid.rows:
        for x in grid.columns:
            assert y + grid.window[0] <= grid.padded[0]
            assert x + grid.window[1] <= grid.padded[1]
            covered[y : y + grid.window[0], x : x + grid.window[1]] += 1
    assert covered.min() >= 1
    assert all(side <= window and side % 32 == 0 for side in grid.window)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_windows_lie_where_monai_puts_them(overlap):
    size, window = (210, 97), 64
    step = int(window * (1 - overlap))
    grid = window_grid(size, window, overlap)
    theirs = dense_patch_slices(size, (window, window), (step, step))
    assert [(y, x) for y in grid.rows for x in grid.columns] == [
        (rows.start, columns.start) for rows, columns in theirs
    ]


@pytest.mark.parametrize(
    ("size", "overlap", "batch"),
    [((150, 210), 0.25, 4), ((64, 64), 0.25, 1), ((151, 65), 0.5, 3), ((40, 130), 0.25, 2)],
)
def test_blending_equals_monai_sliding_window_inferer(network, size, overlap, batch):
    image = np.random.default_rng(0).random((2, *size), dtype=np.float32)
    window = window_grid(size, 64, overlap).window
    inferer = SlidingWindowInferer(window, 4, overlap, mode="gaussian", padding_mode="reflect")
    with torch.inference_mode():
        expected = inferer(torch.from_numpy(image)[None], lambda x: network(x).softmax(1))[0]
    ours = blended(image, network, 64, overlap, batch)
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


def test_a_network_without_context_gives_the_same_with_and_without_windows():
    image = np.random.default_rng(2).random((2, 123, 77), dtype=np.float32)
    pixelwise = nn.Conv2d(2, 3, kernel_size=1).eval()
    with torch.inference_mode():
        expected = pixelwise(torch.from_numpy(image)[None]).softmax(1)[0].numpy()
    np.testing.assert_allclose(blended(image, pixelwise, 32, 0.25, 5), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 40), (31, 33)])
def test_an_image_smaller_than_the_window_keeps_its_size(size):
    image = np.random.default_rng(3).random((2, *size), dtype=np.float32)
    assert blended(image, nn.Conv2d(2, 3, 1), 64, 0.25, 4).shape == (3, *size)


def test_every_row_of_the_image_is_read_once_and_in_order():
    asked = []

    def read_rows(start, stop):
        asked.extend(range(start, stop))
        return np.zeros((1, stop - start, 50), np.uint8)

    bands = list(read_bands(read_rows, window_grid((203, 50), 64, 0.25)))
    assert asked == list(range(203))
    assert {band.shape for band in bands} == {(1, 64, 64)}


@pytest.mark.parametrize(
    ("size", "window", "overlap", "wrong"),
    [
        ((9, 9), 100, 0.25, "window is 100"),
        ((9, 9), 0, 0.25, "window is 0"),
        ((9, 9), 64, 1.0, "overlap is 1"),
        ((9, 9), 64, -0.1, "overlap is -0.1"),
        ((0, 9), 64, 0.25, "0 x 9 pixels"),
    ],
)
def test_impossible_windows_are_refused(size, window, overlap, wrong):
    with pytest.raises(ValueError, match=wrong):
        window_grid(size, window, overlap)
