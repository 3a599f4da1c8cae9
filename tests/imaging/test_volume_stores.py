import numpy as np
import pytest
import tifffile
import zarr

from lotus.imaging import open_volume
from lotus.imaging.ome_zarr import OmeZarr
from lotus.imaging.volume_stores import slice_stores, volume_store

SHAPE = (3, 40, 300)
VOXELS = np.random.default_rng(0).random(SHAPE).astype(np.float32)
MASK = np.uint8(255) * (VOXELS > 0.5).astype(np.uint8)
SPACING = (2.0, 0.5, 0.25)


def stores(folder, image, mask, spacing=SPACING):
    return slice_stores(folder / image, folder / mask, folder / ".hidden", SHAPE, spacing)


def write(pair, order=(0, 1, 2)):
    for store, voxels in zip(pair, (VOXELS, MASK), strict=True):
        store.begin()
        for index in order:
            store.write(index, voxels[index : index + 1])
    for store in reversed(pair):
        store.finish()


NAMES = [
    ("a.tif", "a_bone.tif"),
    ("a.ome.zarr", "a.ome.zarr/labels/bone"),
    ("a.ome.zarr", "b.ome.zarr"),
    ("a.ome.tif", "b.ome.zarr"),
]


@pytest.mark.parametrize("names", NAMES)
def test_slices_in_any_order_are_the_volume(tmp_path, names):
    write(stores(tmp_path, *names), order=(2, 0, 1))
    for name, voxels in zip(names, (VOXELS, MASK), strict=True):
        with open_volume(tmp_path / name) as volume:
            assert volume.spacing_um == SPACING
            found = np.stack(list(volume.planes))
        assert found.dtype == voxels.dtype
        np.testing.assert_array_equal(found, voxels)
    assert not any((tmp_path / ".hidden").glob("*"))


@pytest.mark.parametrize("names", NAMES)
def test_files_are_the_same_to_the_byte_whatever_the_order(tmp_path, names):
    contents = []
    for run, order in (("one", (0, 1, 2)), ("other", (1, 2, 0))):
        (tmp_path / run).mkdir()
        write(stores(tmp_path / run, *names), order)
        files = sorted(p for p in (tmp_path / run).rglob("*") if p.is_file())
        contents.append({p.relative_to(tmp_path / run): p.read_bytes() for p in files})
    assert contents[0] == contents[1]


def test_tiffs_are_those_of_other_readers(tmp_path):
    write(stores(tmp_path, "a.tif", "a_bone.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "ZYX"
        np.testing.assert_array_equal(tiff.asarray(), VOXELS)


def test_another_volume_of_the_same_name_is_told_apart(tmp_path):
    """OME readers go by the identifier of a file, not by its name."""
    write(stores(tmp_path, "a.tif", "a_bone.tif"))
    identifiers = []
    for name in ("a.tif", "a_bone.tif"):
        with tifffile.TiffFile(tmp_path / name) as tiff:
            identifiers.append(tiff.ome_metadata.partition('UUID="')[2][:50])
    assert identifiers[0] != identifiers[1]


def test_an_older_zarr_is_replaced_and_anything_else_is_left(tmp_path):
    names = ("a.ome.zarr", "a.ome.zarr/labels/bone")
    zarr.open_group(tmp_path / "a.ome.zarr", mode="w").attrs["old"] = True
    write(stores(tmp_path, *names))
    assert "old" not in zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs
    assert [p.name for p in (tmp_path / ".hidden").glob("*")] == []
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"b\.zarr is there and no Zarr"):
        stores(tmp_path, "b.zarr", "c.tif")[0].begin()


def test_nothing_appears_before_all_slices_are_there(tmp_path):
    image, _ = stores(tmp_path, "a.tif", "b.tif")
    image.begin()
    image.write(0, VOXELS[:1])
    with pytest.raises(FileNotFoundError, match="was the slice written"):
        image.finish()
    assert not (tmp_path / "a.tif").exists()
    with pytest.raises(ValueError, match=r"got uint8 .* from slice 2 on"):
        image.write(1, MASK[1:2])


def test_what_a_killed_writer_left_in_a_store_goes(tmp_path):
    store = volume_store(
        tmp_path / "a.zarr", tmp_path / ".hidden", SHAPE, np.float32, SPACING, version="0.4"
    )
    store.begin()
    store.write(0, VOXELS)
    (tmp_path / ".hidden/x.partial").touch()
    store.finish()
    assert not [*tmp_path.rglob("*.partial")]
    assert OmeZarr.open(tmp_path / "a.zarr").version == "0.4"
