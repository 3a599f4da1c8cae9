import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from skimage.measure import regionprops_table

from lotus.imaging.outlines import outline_objects
from lotus.morphometry.objects import object_table


def disc(radius, stretch=1.0):
    side = int(radius * max(stretch, 1) * 2 + 9)
    y, x = np.indices((side, side)) - side // 2
    return ((y / stretch) ** 2 + x**2 <= radius**2).astype(np.int32)


def test_rectangle():
    labels = np.zeros((20, 30), np.uint16)
    labels[3:7, 10:22] = 5
    row = object_table(labels, offset_yx=(100, 200)).iloc[0]
    assert row["label"] == 5
    assert (row["centroid_y_px"], row["centroid_x_px"]) == (105, 216)
    box = row[["y_min_px", "x_min_px", "y_max_px", "x_max_px"]].tolist()
    assert box == [103, 210, 107, 222]
    assert row["area_px"] == 48
    assert row["solidity"] == 1
    # Second moments of n pixels in a row: (n² - 1) / 12; axes are 4 standard deviations long.
    assert row["major_axis_px"] == pytest.approx(4 * np.sqrt((12**2 - 1) / 12))
    assert row["minor_axis_px"] == pytest.approx(4 * np.sqrt((4**2 - 1) / 12))
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - 15 / 143))
    assert abs(row["orientation_rad"]) == pytest.approx(np.pi / 2)


def test_places_are_those_of_the_outlines():
    """The centroid and the box of the polygon, from its corners."""
    labels = np.zeros((12, 15), np.int32)
    labels[2:9, 3:7] = labels[7:9, 7:13] = 4
    row = object_table(labels, offset_yx=(30, 50)).iloc[0]
    ((ring,),) = outline_objects(labels, (30, 50))[4]
    x, y = np.transpose(ring).astype(float)
    cross = x[:-1] * y[1:] - x[1:] * y[:-1]
    area = cross.sum() / 2
    centroid = [((axis[:-1] + axis[1:]) * cross).sum() / (6 * area) for axis in (y, x)]
    assert area == row["area_px"]
    assert [row["centroid_y_px"], row["centroid_x_px"]] == pytest.approx(centroid)
    box = row[["y_min_px", "x_min_px", "y_max_px", "x_max_px"]].tolist()
    assert box == [y.min(), x.min(), y.max(), x.max()]


def test_large_disc_and_ellipse():
    row = object_table(disc(40)).iloc[0]
    assert row["perimeter_px"] == pytest.approx(2 * np.pi * 40, rel=0.02)
    assert row["area_px"] == pytest.approx(np.pi * 1600, rel=0.01)
    assert row["major_axis_px"] == pytest.approx(80, rel=0.01)
    assert np.isnan(row["orientation_rad"])
    row = object_table(disc(20, 3)).iloc[0]
    assert row["eccentricity"] == pytest.approx(np.sqrt(8 / 9), rel=0.01)
    assert row["orientation_rad"] == pytest.approx(0, abs=1e-6)


def test_no_pixel_size_no_micrometres():
    table = object_table(disc(5))
    assert not [name for name in table if name.endswith(("um", "um2"))]
    assert "mean_probability" not in table


def test_square_pixels():
    row = object_table(disc(10), spacing_um=(0.5, 0.5), offset_yx=(0, 10)).iloc[0]
    assert row["area_um2"] == row["area_px"] / 4
    for name in ("centroid_y", "centroid_x", "perimeter", "major_axis", "minor_axis"):
        assert row[f"{name}_um"] == row[f"{name}_px"] / 2


def test_pixels_that_are_not_square():
    # A disc in µm: 3 times as many rows as columns, each a third as high.
    row = object_table(disc(20, 3), spacing_um=(1.0, 3.0)).iloc[0]
    assert row["area_um2"] == pytest.approx(np.pi * 60**2, rel=0.01)
    assert row["major_axis_um"] == pytest.approx(120, rel=0.01)
    assert row["minor_axis_um"] == pytest.approx(120, rel=0.01)
    assert row["eccentricity"] < 0.15
    assert np.isnan(row["perimeter_um"])
    assert row["major_axis_px"] == pytest.approx(120, rel=0.01)
    assert row["minor_axis_px"] == pytest.approx(40, rel=0.02)


def test_undefined_is_nan():
    labels = np.zeros((5, 5), int)
    labels[2, 2] = 1
    row = object_table(labels).iloc[0]
    assert np.isnan(row["orientation_rad"])
    assert np.isnan(row["eccentricity"])
    assert row["area_px"] == 1


def test_mean_probability():
    labels = np.array([[1, 1, 0], [0, 9, 9]])
    probability = np.array([[0.2, 0.4, 1.0], [0.0, 0.5, 0.75]], np.float32)
    table = object_table(labels, probability)
    np.testing.assert_allclose(table["mean_probability"], [0.3, 0.625])


def test_no_objects_same_columns():
    labels = np.zeros((6, 6), np.uint8)
    empty = object_table(labels, np.zeros((6, 6), np.float32), spacing_um=(0.5, 0.7))
    labels[2:4, 2:5] = 1
    filled = object_table(labels, np.zeros((6, 6), np.float32), spacing_um=(0.5, 0.7))
    assert len(empty) == 0
    assert list(empty.columns) == list(filled.columns)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_type(dtype):
    table = object_table(disc(4).astype(dtype) * dtype(200))
    assert table["label"].tolist() == [200]


def test_great_labels():
    labels = np.array([[0, 4_000_000_000, 7], [0, 4_000_000_000, 0]], np.uint32)
    table = object_table(labels, labels / 8e9)
    assert table["label"].tolist() == [7, 4_000_000_000]
    assert table["area_px"].tolist() == [1, 2]
    np.testing.assert_allclose(table["mean_probability"], [7 / 8e9, 0.5])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), y=st.integers(0, 50), x=st.integers(0, 50))
def test_moving_the_window_moves_positions_only(seed, y, x):
    labels = np.random.default_rng(seed).integers(0, 4, (12, 14))
    moved = np.zeros((12 + y, 14 + x), int)
    moved[y:, x:] = labels
    pd.testing.assert_frame_equal(
        object_table(labels, spacing_um=(0.3, 0.3), offset_yx=(y, x)),
        object_table(moved, spacing_um=(0.3, 0.3)),
        check_exact=False,
        rtol=1e-9,
    )


def test_bad_arguments():
    labels = disc(3)
    with pytest.raises(ValueError, match="float64"):
        object_table(labels.astype(float))
    with pytest.raises(ValueError, match="2-D"):
        object_table(np.zeros((2, 2, 2), int))
    with pytest.raises(ValueError, match="labels from 0, not -3"):
        object_table(labels - 3)
    with pytest.raises(ValueError, match="probability"):
        object_table(labels, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="pixel size"):
        object_table(labels, spacing_um=(0.0, 1.0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), sigma=st.sampled_from([0.0, 0.7, 1.5, 4.0]))
def test_shapes_are_those_of_scikit_image(seed, sigma):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 60, 2)
    smooth = gaussian_filter(random.random((height, width)), sigma)
    labels, _ = label(smooth > np.quantile(smooth, random.uniform(0.1, 0.9)))
    labels = labels * random.integers(1, 4)
    if sigma == 0:
        labels = random.integers(0, 5, (height, width))
    table = object_table(labels)
    names = ("label", "bbox", "area", "perimeter_crofton", "solidity")
    reference = regionprops_table(labels, properties=names)
    box = [f"{side}_px" for side in ("y_min", "x_min", "y_max", "x_max")]
    found = ("label", *box, "area_px", "perimeter_px", "solidity")
    for ours, theirs in zip(found, reference, strict=True):
        np.testing.assert_allclose(table[ours], reference[theirs], rtol=1e-12)


@pytest.mark.parametrize("spacing", [None, (0.5, 2.0)])
def test_ellipses_are_those_of_scikit_image(spacing):
    random = np.random.default_rng(3)
    labels, _ = label(gaussian_filter(random.random((80, 120)), 2.5) > 0.505)
    table = object_table(labels, spacing_um=spacing)
    names = ("axis_major_length", "axis_minor_length", "orientation", "eccentricity")
    reference = regionprops_table(labels, properties=("area", *names), spacing=spacing or (1, 1))
    unit = "um" if spacing else "px"
    found = (f"major_axis_{unit}", f"minor_axis_{unit}", "orientation_rad", "eccentricity")
    comparable = table["orientation_rad"].notna() & (table["area_px"] > 2)
    assert np.count_nonzero(comparable) > 20
    for ours, theirs in zip(found, names, strict=True):
        np.testing.assert_allclose(
            table.loc[comparable, ours], reference[theirs][comparable], rtol=1e-6, atol=1e-6
        )


def test_lines_have_no_width():
    labels = np.zeros((300, 300), np.int32)
    labels[7, 5:293] = 1
    labels[20:290, 3] = 2
    np.fill_diagonal(labels[30:290, 30:290], 3)
    table = object_table(labels)
    assert table["minor_axis_px"].tolist() == [0, 0, 0]
    assert table["eccentricity"].tolist() == [1, 1, 1]
    assert np.abs(table["orientation_rad"]).tolist() == pytest.approx([np.pi / 2, 0, np.pi / 4])
