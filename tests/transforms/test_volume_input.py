from contextlib import contextmanager

import numpy as np
import pytest

from lotus.imaging import Volume, open_volume
from lotus.imaging.volume_stores import write_volume
from lotus.transforms import DtypeRange, PercentileRange, Preprocessing
from lotus.transforms.volume_input import VolumeInput, limits_of

VOXELS = np.random.default_rng(0).normal(2.0, 3.0, (23, 20, 30)).astype(np.float32)
VOXELS[:, :2] = np.nan
VOXELS[0] = np.nan


@contextmanager
def opened(tmp_path, voxels=VOXELS):
    write_volume(tmp_path / "a.zarr", voxels)
    with open_volume(tmp_path / "a.zarr") as volume:
        yield volume


class SliceMean(Preprocessing):
    """Depends on the whole slice: 1 but where it is above its mean."""

    def __call__(self, image):
        return 1 - (image > np.nanmean(image)).astype(np.float32)


def test_limits_are_those_of_the_whole_volume(tmp_path):
    with opened(tmp_path) as volume:
        found = VolumeInput(volume, PercentileRange(1, 99))(3, 9)
    # 16 of the 23 slices are looked at.
    used = np.unique(np.linspace(0, 22, 16).round()).astype(int)
    low, high = np.nanpercentile(VOXELS[used], (1, 99))
    expected = np.nan_to_num(np.clip((VOXELS[3:9] - low) / (high - low), 0, 1), nan=0.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32


def test_any_other_preprocessing_works_slice_by_slice(tmp_path):
    with opened(tmp_path) as volume:
        assert limits_of(volume, SliceMean()) is None
        found = VolumeInput(volume, SliceMean())(0, 5)
    np.testing.assert_array_equal(found[0], 0)  # without a value
    for plane, expected in zip(found[1:], VOXELS[1:5], strict=True):
        np.testing.assert_array_equal(plane, expected <= np.nanmean(expected))  # not where NaN


@pytest.mark.parametrize("ahead", [1, 4, 64])
def test_slices_asked_for_in_any_order_are_those_of_the_volume(tmp_path, ahead):
    voxels = np.arange(23 * 4, dtype=np.uint8).reshape(23, 2, 2)
    with opened(tmp_path, voxels) as volume:
        read = VolumeInput(volume, DtypeRange(), ahead=ahead)
        for start, stop in [(0, 3), (1, 4), (2, 5), (20, 23), (3, 4), (0, 23), (5, 6), (4, 9)]:
            np.testing.assert_array_equal(read.raw(start, stop), voxels[start:stop])
            np.testing.assert_allclose(read(start, stop), voxels[start:stop] / 255, atol=1e-7)


def test_slices_are_read_once_when_slabs_follow_each_other():
    """Chunks of many slices would else be decoded as often as they have slices."""
    voxels = np.random.default_rng(1).integers(0, 255, (50, 2, 2)).astype(np.uint8)
    asked = []

    def window(part):
        asked.extend(range(*part[0].indices(50)))
        return voxels[part]

    volume = Volume(voxels.shape, (None,) * 3, voxels.__getitem__, window)
    read = VolumeInput(volume, DtypeRange(), ahead=8)
    for middle in range(50):
        read(max(middle - 1, 0), min(middle + 2, 50))
    assert asked == [*range(50)]


def test_a_volume_without_contrast_is_refused(tmp_path):
    flat = np.zeros((3, 4, 5), np.uint8)
    with opened(tmp_path, flat) as volume, pytest.raises(ValueError, match="constant"):
        VolumeInput(volume, PercentileRange())
