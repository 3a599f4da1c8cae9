import json

import numpy as np
import pytest
import zarr

from lotus.imaging import open_volume
from lotus.imaging.ome_zarr import OmeZarr

VOXELS = np.random.default_rng(0).random((3, 530, 20)).astype(np.float32)
SPACING = (2.0, 0.5, 0.25)


def create(path, voxels, spacing=SPACING, **options):
    written = OmeZarr.create(path, voxels.shape, voxels.dtype, spacing, **options)
    for index, plane in enumerate(voxels):
        written.write(index, plane)
    return written


def metadata(path):
    return json.loads((path / "zarr.json").read_text())


def test_metadata_are_those_of_version_0_5(tmp_path):
    """Field by field as the specification has them, from the files alone."""
    create(tmp_path / "a.ome.zarr", VOXELS)
    group = metadata(tmp_path / "a.ome.zarr")
    assert (group["zarr_format"], group["node_type"]) == (3, "group")
    ome = group["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert image["axes"] == [
        {"name": name, "type": "space", "unit": "micrometer"} for name in ("z", "y", "x")
    ]
    assert image["datasets"] == [
        {
            "path": "0",
            "coordinateTransformations": [{"type": "scale", "scale": [2.0, 0.5, 0.25]}],
        },
        {
            "path": "1",
            "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 1.0, 0.5]},
                # Half the distance of two pixels: where the mean of both lies.
                {"type": "translation", "translation": [0.0, 0.25, 0.125]},
            ],
        },
    ]
    for level in "01":
        array = metadata(tmp_path / "a.ome.zarr" / level)
        assert array["dimension_names"] == ["z", "y", "x"]
        assert array["data_type"] == "float32"


def test_voxels_are_read_back_by_zarr_alone_and_levels_are_means(tmp_path):
    create(tmp_path / "a.ome.zarr", VOXELS)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], VOXELS)
    expected = (
        VOXELS[:, ::2, ::2] + VOXELS[:, 1::2, ::2] + VOXELS[:, ::2, 1::2] + VOXELS[:, 1::2, 1::2]
    ) / 4
    np.testing.assert_allclose(group["1"][:], expected, rtol=1e-6)


def test_the_last_row_of_an_odd_size_is_kept(tmp_path):
    voxels = np.zeros((1, 513, 3), np.uint8)
    voxels[0, 512] = (1, 4, 9)
    create(tmp_path / "a.ome.zarr", voxels)
    level = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")["1"]
    assert level.shape == (1, 257, 2)
    assert level[0, 256].tolist() == [2, 9]  # of 2.5 the even one


def test_a_slice_is_one_file_so_that_processes_do_not_meet(tmp_path):
    path = tmp_path / "a.ome.zarr"
    written = OmeZarr.create(path, (3, 600, 300), np.uint8)
    written.write(1, np.ones((600, 300), np.uint8))
    files = [p.relative_to(path) for p in path.rglob("*") if p.is_file() and p.name != "zarr.json"]
    assert sorted(map(str, files)) == ["0/c/1/0/0", "1/c/1/0/0"]


def test_labels_lie_within_their_image_and_are_listed(tmp_path):
    image = create(tmp_path / "a.ome.zarr", VOXELS)
    labels = (VOXELS * 10).astype(np.uint16)
    create(tmp_path / "a.ome.zarr/labels/lacunae", labels, label_of=image)
    create(tmp_path / "a.ome.zarr/labels/bone", labels, label_of=image)
    listed = metadata(tmp_path / "a.ome.zarr/labels")["attributes"]["ome"]
    assert listed == {"version": "0.5", "labels": ["bone", "lacunae"]}
    ome = metadata(tmp_path / "a.ome.zarr/labels/bone")["attributes"]["ome"]
    assert ome["image-label"] == {"source": {"image": "../../"}}
    opened = OmeZarr.open(tmp_path / "a.ome.zarr")
    assert opened.label_names == ["bone", "lacunae"]
    # Numbers of objects have no mean.
    np.testing.assert_array_equal(opened.label("bone").read(2, level=1), labels[2, ::2, ::2])


def test_a_window_is_read_of_any_level(tmp_path):
    create(tmp_path / "a.ome.zarr", VOXELS)
    opened = OmeZarr.open(tmp_path / "a.ome.zarr")
    window = (slice(1, 3), slice(250, 270), slice(3, 9))
    np.testing.assert_array_equal(opened.window(window), VOXELS[window])
    assert opened.window((slice(0, 1), slice(0, 5), slice(0, 5)), level=1).shape == (1, 5, 5)


@pytest.mark.parametrize("spacing", [SPACING, (None, 0.5, 0.25), (None, None, None)])
def test_a_volume_is_opened_with_its_voxel_size(tmp_path, spacing):
    create(tmp_path / "a.ome.zarr", VOXELS, spacing)
    with open_volume(tmp_path / "a.ome.zarr") as volume:
        assert volume.shape == VOXELS.shape
        assert volume.spacing_um == spacing
        np.testing.assert_array_equal(np.stack(list(volume.planes)), VOXELS)


def foreign(path, axes, shape, scales=(), unit="nanometer"):
    """What another program writes: big-endian, unsharded, scales in two places."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("s0", shape=shape, dtype=">u2", chunks=shape)
    array[:] = np.arange(np.prod(shape), dtype=">u2").reshape(shape)
    steps = [{"type": "scale", "scale": list(scale)} for scale in scales]
    named = [{"name": axis} | ({"unit": unit} if axis in "zyx" else {}) for axis in axes]
    dataset = {"path": "s0", "coordinateTransformations": steps[:1]}
    image = {"axes": named, "datasets": [dataset], "coordinateTransformations": steps[1:]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


def test_files_of_other_programs_are_read(tmp_path):
    scales = [(1, 1, 800, 500, 250), (1, 1, 1, 2, 2)]
    foreign(tmp_path / "a.zarr", "tczyx", (1, 1, 2, 3, 4), scales)
    with open_volume(tmp_path / "a.zarr") as volume:
        assert volume.spacing_um == pytest.approx((0.8, 1.0, 0.5))
        plane = volume.read(1)
    assert plane.dtype.isnative
    np.testing.assert_array_equal(plane, np.arange(12, 24).reshape(3, 4))


@pytest.mark.parametrize(
    ("axes", "shape"), [("czyx", (2, 2, 3, 4)), ("yx", (3, 4)), ("xyz", (2, 3, 4))]
)
def test_what_is_no_grey_volume_is_refused(tmp_path, axes, shape):
    foreign(tmp_path / "a.zarr", axes, shape)
    with pytest.raises(ValueError, match=f"axes {axes}.*zyx is expected"):
        OmeZarr.open(tmp_path / "a.zarr")


def test_other_versions_and_folders_are_refused(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    with pytest.raises(ValueError, match=r"no multiscale image; OME-Zarr 0\.5"):
        OmeZarr.open(tmp_path / "a.zarr")
    group.attrs["ome"] = {"version": "0.6", "multiscales": [{}]}
    with pytest.raises(ValueError, match=r"holds 0\.6; OME-Zarr 0\.5"):
        OmeZarr.open(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="no Zarr group"):
        OmeZarr.open(tmp_path / "none")


def test_slices_and_volumes_that_do_not_fit_are_refused(tmp_path):
    written = OmeZarr.create(tmp_path / "a.zarr", (2, 3, 4), np.uint8)
    for index, plane in ((2, np.zeros((3, 4), np.uint8)), (0, np.zeros((3, 4), np.uint16))):
        with pytest.raises(ValueError, match="2 slices of uint8"):
            written.write(index, plane)
    with pytest.raises(ValueError, match="another volume"):
        OmeZarr.create(tmp_path / "a.zarr", (2, 3, 5), np.uint8)
    with pytest.raises(ValueError, match="voxel size"):
        OmeZarr.create(tmp_path / "b.zarr", (2, 3, 4), np.uint8, (0.0, 1.0, 1.0))
