"""Masks as files, by what their values stand for."""

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from lotus.imaging import write_label_map
from lotus.imaging.mask_files import look_at_masks, read_mask
from lotus.masks import USUAL_VALUES, MaskValues, mask_facts

MASK = np.array([[1, 2, 2, 255], [1, 1, 2, 255]], np.uint8)
HALF = MaskValues(binarise_at=128)


def test_values_of_a_file_become_the_usual_ones(tmp_path):
    write_label_map(tmp_path / "a.png", MASK)
    labels = read_mask(tmp_path / "a.png", MaskValues.parse("background=1 object=2 ignore=255"))
    np.testing.assert_array_equal(labels.values, [[0, 1, 1, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(labels.ignored, MASK == 255)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", USUAL_VALUES).values, MASK)


@pytest.mark.parametrize(
    ("name", "shades", "threshold"),
    [
        ("a.jpg", np.kron([[0, 255], [255, 0]], np.ones((16, 16))).astype(np.uint8), 128),
        ("a.png", np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8), 128),
        ("a.tif", np.array([[0.2, 0.7]], np.float32), 0.5),
        ("a.tif", np.array([[-5, 300]], np.int16), 128),
    ],
)
def test_shades_are_read_from_files_that_hold_no_labels(tmp_path, name, shades, threshold):
    imageio.imwrite(tmp_path / name, shades)
    with pytest.raises(ValueError, match="label"):
        read_mask(tmp_path / name, USUAL_VALUES)
    grey = shades if shades.ndim == 2 else shades[..., 0]
    found = read_mask(tmp_path / name, MaskValues(binarise_at=threshold)).values
    np.testing.assert_array_equal(found, grey >= threshold)


@pytest.mark.parametrize(
    ("array", "values", "message"),
    [
        (MASK, MaskValues(0, (("object", 1),)), "found the value 2, which 'background=0 object=1'"),
        (MASK * 0 + 255, MaskValues(ignore=255), "every pixel is 255, to be ignored"),
        (np.array([[[0, 0, 9]]], np.uint8), HALF, "3 channels that differ"),
        (np.array([[np.nan, 1]], np.float32), HALF, "holds NaN"),
    ],
)
def test_files_without_a_meaning_are_refused_by_name(tmp_path, array, values, message):
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(ValueError, match=rf"a\.tif:? .*{message}") as caught:
        read_mask(tmp_path / "a.tif", values)
    assert "\n" not in str(caught.value)


def test_a_changed_file_is_looked_at_again(tmp_path):
    path = tmp_path / "a.tif"
    for mask in (MASK, MASK.repeat(2, axis=0)):
        write_label_map(path, mask)
        expected = mask_facts(USUAL_VALUES.apply(mask))
        assert look_at_masks([path, path], USUAL_VALUES) == {path: expected}
    assert look_at_masks([path], HALF)[path].n_values == 1
