import numpy as np
import pytest
import tifffile
import zarr

from lotus.imaging import volume_writer
from lotus.imaging.ome_zarr_metadata import label_classes
from lotus.imaging.volume_stores import write_volume
from lotus.measurement.volume import open_labels, scale_warnings


def written(path, labels, spacing=(None, None, None)):
    with volume_writer(path, labels.shape, labels.dtype, spacing) as write:
        for plane in labels:
            write(plane)
    return path


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 4, (3, 5, 6)).astype(np.uint8)


def test_classes_are_masks_of_their_values(tmp_path, labels):
    path = written(tmp_path / "a.tif", labels, (0.3, 0.2, 0.1))
    with open_labels(path, classes={"lcn": 1, "bone": 3}) as volume:
        assert volume.shape == (3, 5, 6)
        assert volume.scale.spacing == pytest.approx((0.3, 0.2, 0.1))
        assert np.array_equal(volume.mask("bone"), labels == 3)
        assert np.array_equal(volume.mask("lcn", "bone"), (labels == 1) | (labels == 3))
        assert not volume.mask("shade_off").any()
        assert np.array_equal(volume.mask("lcn", start=1, stop=3), labels[1:] == 1)
        assert np.array_equal(volume.block(1, 3), labels[1:])
        assert scale_warnings(volume) == []


def test_classes_that_an_ome_zarr_states_need_not_be_given(tmp_path, labels):
    path = tmp_path / "a.ome.zarr"
    write_volume(path, labels, classes=label_classes(["lcn", "canal", "bone"]))
    with open_labels(path, foreground="lcn") as volume:
        assert volume.classes == {"lcn": 1, "bone": 3}
    with open_labels(path, classes={"bone": 1}) as volume:
        assert volume.classes == {"bone": 1}


def test_blocks_are_all_slices_once(tmp_path):
    labels = np.arange(150, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    with open_labels(written(tmp_path / "a.tif", labels), classes={"bone": 77}) as volume:
        starts, blocks = zip(*volume.blocks(10), strict=True)
        assert np.array_equal(np.concatenate(blocks), labels[10:])
        assert [labels[start, 0, 0] for start in starts] == [block[0, 0, 0] for block in blocks]
        assert np.argwhere(volume.mask("bone", start=70, stop=149))[:, 0].tolist() == [7] * 4


@pytest.mark.parametrize("value", [1, 7, 255])
def test_a_binary_needs_no_classes(tmp_path, labels, value):
    binary = (labels > 1).astype(np.uint8) * value
    with open_labels(written(tmp_path / "a.tif", binary), foreground="bone") as volume:
        assert np.array_equal(volume.mask("bone"), labels > 1)


def test_an_empty_binary_has_no_foreground(tmp_path):
    path = written(tmp_path / "a.tif", np.zeros((2, 3, 4), np.uint8))
    with open_labels(path, foreground="bone") as volume:
        assert not volume.mask("bone").any()


def test_several_values_are_asked_about(tmp_path, labels):
    path = written(tmp_path / "a.tif", labels)
    with (
        pytest.raises(ValueError, match=r"a\.tif holds the values .* --classes bone="),
        open_labels(path, foreground="bone"),
    ):
        pass


def test_labels_kept_as_floats_are_read(tmp_path, labels):
    path = written(tmp_path / "a.tif", labels.astype(np.float32))
    with open_labels(path, classes={"bone": 2}) as volume:
        assert np.array_equal(volume.mask("bone"), labels == 2)


@pytest.mark.parametrize("odd", [0.5, np.nan, np.inf])
def test_grey_values_are_refused(tmp_path, labels, odd):
    grey = labels.astype(np.float32)
    grey[1, 2, 3] = odd
    path = written(tmp_path / "a.tif", grey)
    with (
        open_labels(path, classes={"bone": 2}) as volume,
        pytest.raises(ValueError, match="slice 2 holds float32 values that are no whole numbers"),
    ):
        volume.mask("bone")


def test_what_is_given_goes_before_what_the_file_states(tmp_path, labels):
    path = written(tmp_path / "a.tif", labels, (0.3, 0.2, 0.1))
    with open_labels(path, voxel_size_um=[2.0]) as volume:
        assert volume.scale.spacing_um == (2.0, 2.0, 2.0)
    with open_labels(path, voxel_size_um=[3.0, 2.0, 1.0]) as volume:
        assert volume.scale.spacing_um == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("given", [[1.0, 2.0], [0.0], [1.0, -1.0, 1.0], [float("nan")]])
def test_a_voxel_size_that_is_none_is_refused(tmp_path, labels, given):
    path = written(tmp_path / "a.tif", labels)
    with (
        pytest.raises(ValueError, match=r"one positive number or three \(Z Y X\)"),
        open_labels(path, voxel_size_um=given),
    ):
        pass


def test_without_voxel_size_all_is_in_voxels_and_said(tmp_path, labels):
    with open_labels(written(tmp_path / "a.tif", labels)) as volume:
        assert volume.scale.spacing == (1.0, 1.0, 1.0)
        assert volume.scale.millimetres(2.0, -3) == (2.0, "voxel⁻³")
        (warning,) = scale_warnings(volume)
        assert "everything is in voxels" in warning


def test_an_unknown_distance_of_slices_is_refused(tmp_path, labels):
    path = written(tmp_path / "a.tif", labels, (None, 0.2, 0.2))
    with pytest.raises(ValueError, match=r"give --voxel-size-um Z Y X"), open_labels(path):
        pass
    with open_labels(written(tmp_path / "b.tif", labels[:1], (None, 0.2, 0.2))) as volume:
        assert volume.scale.spacing_um == pytest.approx((0.2, 0.2, 0.2))


def test_a_missing_slice_is_named(tmp_path):
    for number in (1, 2, 4):
        tifffile.imwrite(tmp_path / f"s_{number}.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"found no s_3\.tif"), open_labels(tmp_path):
        pass


def test_one_of_several_channels_is_chosen(tmp_path):
    """Its classes are those that the file states, whichever channel is meant."""
    labels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5) % 3
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=labels)
    image = {"axes": [{"name": name} for name in "czyx"], "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [image | {"version": "0.4"}]
    group.attrs["image-label"] = {"properties": [{"label-value": 2, "name": "lcn"}]}
    with open_labels(tmp_path / "a.zarr", at={"c": 1}) as volume:
        np.testing.assert_array_equal(volume.block(0, 3), labels[1])
        assert volume.classes == {"lcn": 2}
    with (
        pytest.raises(ValueError, match="choose one of the 2 along c"),
        open_labels(tmp_path / "a.zarr"),
    ):
        pass
