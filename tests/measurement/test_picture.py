import numpy as np
import pytest

from lotus.measurement.picture import StructurePicture
from lotus.measurement.scale import Scale


def drawn(values, spacing=None, block=None):
    picture = StructurePicture(values.shape, Scale(spacing))
    step = block or len(values)
    for start in range(0, len(values), step):
        picture.add(start, values[start : start + step])
    return picture.drawn("Title", "thickness")


@pytest.mark.parametrize("depth", [40, 700])
def test_blocks_make_the_picture_of_the_whole(depth):
    values = np.zeros((depth, 20, 30), np.float32)
    values[depth // 3 :, 5:9, 5:25] = 3
    values[: depth // 2, 12:15, 12:15] = 7
    whole, in_blocks = drawn(values), drawn(values, block=7)
    np.testing.assert_array_equal(whole.pixels, in_blocks.pixels)
    assert (whole.pixels != 255).any()


def test_the_note_says_how_large_the_box_is():
    values = np.ones((10, 20, 30), np.float32)
    assert "15 x 20 x 20 µm (x, y, z)" in drawn(values, (2.0, 1.0, 0.5)).note
    assert "30 x 20 x 10 voxel" in drawn(values).note


def test_undefined_values_are_not_drawn():
    values = np.full((10, 20, 30), np.nan, np.float32)
    np.testing.assert_array_equal(drawn(values).pixels, drawn(np.zeros_like(values)).pixels)
