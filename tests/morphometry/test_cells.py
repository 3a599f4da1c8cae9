"""Cells against scikit-image, hand-computed bodies and the published table of an osteon."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from lotus.masks import label_in_blocks, object_moments
from lotus.morphometry.cells import cell_table, oblateness, stretch

DIRECTION = ["direction_z", "direction_y", "direction_x"]
AXES_UM = ["major_axis_um", "middle_axis_um", "minor_axis_um"]


def measured(labels, spacing_um=None):
    return cell_table(object_moments(labels, int(labels.max(initial=0))), labels.shape, spacing_um)


def ellipsoid(semi_axes_um, rotation, spacing_um, shape):
    """Voxels whose middle lies in an ellipsoid about the volume's middle."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = (indices + 0.5 - np.array(shape) / 2) * spacing_um
    return (((places @ rotation) / semi_axes_um) ** 2).sum(axis=-1) <= 1


def rotation_about_x(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def test_stretch_and_oblateness_of_a_real_osteon(shared_data):
    table = pd.read_csv(shared_data / "osteon_fm40" / "FM40-1-R1_osteocytes.csv")
    assert len(table) == 54
    eigenvalues = table[["eigen0", "eigen1", "eigen2"]].to_numpy()
    np.testing.assert_allclose(stretch(eigenvalues), table["stretch"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(oblateness(eigenvalues), table["oblateness"], rtol=0, atol=1e-6)


def test_real_nuclei_are_measured_as_by_scikit_image(shared_data):
    labels = tifffile.imread(shared_data / "nuclei3d_stardist" / "mask3d.tif")
    spacing = (2.0, 1.0, 0.5)
    table = measured(labels, spacing)
    regions = regionprops(labels, spacing=spacing)
    assert len(table) == len(regions) > 10
    assert table["label"].tolist() == [region.label for region in regions]
    assert table["volume_px"].tolist() == [region.coords.shape[0] for region in regions]
    boxes = table[[f"{axis}_{end}_px" for end in ("min", "max") for axis in "zyx"]]
    assert boxes.to_numpy().tolist() == [list(region.bbox) for region in regions]
    centroids = np.array([region.centroid for region in regions]) + np.array(spacing) / 2
    found = table[["centroid_z_um", "centroid_y_um", "centroid_x_um"]]
    np.testing.assert_allclose(found, centroids)
    for (_, row), region in zip(table.iterrows(), regions, strict=True):
        covariance = np.cov((region.coords * spacing).T, bias=True)
        values, vectors = np.linalg.eigh(covariance)
        own = row[[f"eigenvalue_{i}_um2" for i in range(3)]].to_numpy(float)
        np.testing.assert_allclose(own, values[::-1])
        assert abs(row[DIRECTION].to_numpy(float) @ vectors[:, -1]) == pytest.approx(1)
        # Scikit-image's inertia tensor has tr(C) - C; the axes follow from it.
        assert row["major_axis_um"] == pytest.approx(2 * np.sqrt(5 * values[-1]))


@pytest.mark.parametrize("spacing_um", [(0.25, 0.25, 0.25), (0.5, 0.25, 0.2)])
def test_a_turned_ellipsoid_has_its_axes_and_direction_whatever_the_voxels(spacing_um):
    semi_axes = np.array([6.0, 3.0, 2.0])
    rotation = rotation_about_x(0.5)
    shape = tuple(int(14 / side) for side in spacing_um)
    labels = ellipsoid(semi_axes, rotation, spacing_um, shape).astype(np.uint8)
    (row,) = measured(labels, spacing_um).to_dict("records")
    assert row["volume_um3"] == pytest.approx(4 / 3 * np.pi * semi_axes.prod(), rel=0.01)
    assert [row[name] for name in AXES_UM] == pytest.approx(2 * semi_axes, rel=0.01)
    assert row["stretch"] == pytest.approx(1 - 2 / 6, abs=0.01)
    assert row["oblateness"] == pytest.approx(2 * (3 - 2) / (6 - 2) - 1, abs=0.01)
    assert [row[name] for name in DIRECTION] == pytest.approx(rotation[:, 0], abs=0.01)
    assert not row["touches_border"]
    assert row["centroid_z_um"] == pytest.approx(shape[0] * spacing_um[0] / 2)


def test_boxes_of_voxels_by_hand():
    labels = np.zeros((6, 7, 8), np.int32)
    labels[1:3, 2:5, 1:7] = 3
    (row,) = measured(labels).to_dict("records")
    assert (row["label"], row["volume_px"]) == (3, 36)
    assert [row[f"centroid_{axis}_px"] for axis in "zyx"] == [2.0, 3.5, 4.0]
    assert [row[f"eigenvalue_{i}_px2"] for i in range(3)] == pytest.approx(
        [35 / 12, 8 / 12, 3 / 12]
    )
    assert [row[name] for name in DIRECTION] == [0, 0, 1]
    assert not any(name.endswith(("um", "um2", "um3")) for name in row)


@pytest.mark.parametrize("side", range(6))
def test_each_face_of_the_volume_cuts_cells(side):
    labels = np.zeros((5, 6, 7), np.uint8)
    axis, end = side % 3, side // 3
    place = [2, 2, 2]
    place[axis] = labels.shape[axis] - 1 if end else 0
    labels[tuple(place)] = 1
    labels[1, 1, 1] = 2
    assert measured(labels)["touches_border"].tolist() == [True, False]


def test_what_is_undefined_is_nan():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[0, 0, 0] = 1  # a voxel
    labels[2:5, 2:5, 2:5] = 2  # a cube
    labels[6, 6, 1:5] = 3  # a row
    labels[0, 2:6, 4:8] = 4  # a square plate
    table = measured(labels).set_index("label")
    assert table["stretch"].isna().tolist() == [True, False, False, False]
    assert table["oblateness"].isna().tolist() == [True, True, False, False]
    assert table[DIRECTION].isna().all(axis=1).tolist() == [True, True, False, True]
    assert table.loc[[2, 3, 4], "stretch"].tolist() == [0, 1, 1]
    assert table.loc[[3, 4], "oblateness"].tolist() == [-1, 1]
    assert table.loc[4, "minor_axis_px"] == 0


@given(st.lists(st.just(0.0) | st.floats(1e-3, 10), min_size=3, max_size=3), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_shape_does_not_depend_on_size_and_stays_in_range(values, scale):
    eigenvalues = np.sort(values)[::-1]
    for shape, low in ((stretch, 0), (oblateness, -1)):
        found = shape(eigenvalues)
        np.testing.assert_allclose(found, shape(eigenvalues * scale), rtol=1e-6, atol=1e-6)
        assert np.isnan(found) or low <= found <= 1 + 1e-6


@pytest.mark.parametrize("side", [1e-4, 1.0, 1e4])
def test_flat_and_round_cells_are_told_at_any_size(side):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:7, 2:7, 3:6] = 1  # a square plate of three layers
    labels[0, 1, 1:6] = 2  # a row
    table = measured(labels, (side, side, side))
    assert table["direction_x"].isna().tolist() == [True, False]
    assert (table["minor_axis_um"] > 0).tolist() == [True, False]
    assert table["stretch"].tolist() == pytest.approx([1 - np.sqrt(8 / 24), 1])


def test_without_cells_the_columns_are_the_same():
    empty = measured(np.zeros((3, 3, 3), np.uint8), (1.0, 1.0, 1.0))
    one = measured(np.ones((3, 3, 3), np.uint8), (1.0, 1.0, 1.0))
    assert len(empty) == 0
    assert list(empty.columns) == list(one.columns)


def test_blocks_give_the_table_of_the_whole():
    mask = np.random.default_rng(0).random((20, 16, 16)) < 0.1
    components = label_in_blocks(lambda a, b: mask[a:b], 20, block_depth=7, minimum_size=4)
    table = cell_table(components.moments, mask.shape, (0.3, 0.2, 0.1))
    labels = np.concatenate([block for _, block in components.blocks()])
    assert len(table) > 5
    pd.testing.assert_frame_equal(table, measured(labels, (0.3, 0.2, 0.1)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, np.nan)])
def test_a_voxel_size_that_is_none_is_refused(spacing):
    with pytest.raises(ValueError, match="three positive numbers are expected"):
        measured(np.ones((2, 2, 2), np.uint8), spacing)
