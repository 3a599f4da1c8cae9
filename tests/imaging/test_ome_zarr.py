"""OME-Zarr as other programs write it, made here with zarr alone."""

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from lotus.imaging import open_volume
from lotus.imaging.ome_zarr import OmeZarr

VERSIONS = {"0.4": 2, "0.5": 3}
both = pytest.mark.parametrize("version", VERSIONS)


def foreign(path, axes, shape, scales=(), unit="nanometer", version="0.5", **options):
    """Big-endian, scales in two places; returns the voxels."""
    group = zarr.open_group(path, mode="w", zarr_format=VERSIONS[version])
    options = {"chunks": shape, **options}
    if version == "0.4":
        options.setdefault("chunk_key_encoding", {"name": "v2", "separator": "/"})
    array = group.create_array("s0", shape=shape, dtype=">u2", **options)
    voxels = np.arange(np.prod(shape), dtype=">u2").reshape(shape)
    array[:] = voxels
    steps = [{"type": "scale", "scale": list(scale)} for scale in scales]
    named = [{"name": axis} | ({"unit": unit} if axis in "zyx" else {}) for axis in axes]
    dataset = {"path": "s0", "coordinateTransformations": steps[:1]}
    image = {"axes": named, "datasets": [dataset], "coordinateTransformations": steps[1:]}
    if version == "0.4":
        group.attrs["multiscales"] = [image | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return voxels


LAYOUTS = [
    ("0.4", {}),
    ("0.4", {"chunks": (1, 1, 1, 2, 3), "compressors": {"id": "zlib", "level": 1}}),
    ("0.4", {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
    ("0.5", {}),
    ("0.5", {"chunks": (1, 1, 1, 3, 2), "shards": (1, 1, 2, 3, 4)}),
]


@pytest.mark.parametrize(("version", "layout"), LAYOUTS)
def test_both_versions_are_read_with_and_without_shards(tmp_path, version, layout):
    scales = [(1, 1, 800, 500, 250), (1, 1, 1, 2, 2)]
    shape = (1, 1, 5, 3, 4)
    voxels = foreign(tmp_path / "a.zarr", "tczyx", shape, scales, version=version, **layout)
    assert OmeZarr.open(tmp_path / "a.zarr").version == version
    with open_volume(tmp_path / "a.zarr") as volume:
        assert volume.shape == (5, 3, 4)
        assert volume.spacing_um == pytest.approx((0.8, 1.0, 0.5))
        plane, part = volume.read(1), volume.window((slice(3, 5), slice(1, 3), slice(0, 2)))
    assert plane.dtype.isnative
    np.testing.assert_array_equal(plane, voxels[0, 0, 1])
    np.testing.assert_array_equal(part, voxels[0, 0, 3:5, 1:3, 0:2])


@both
def test_one_of_several_channels_and_times_is_chosen(tmp_path, version):
    voxels = foreign(tmp_path / "a.zarr", "tczyx", (2, 3, 2, 3, 4), version=version)
    with open_volume(tmp_path / "a.zarr", at={"c": 2, "t": 1}) as volume:
        np.testing.assert_array_equal(list(volume.planes), voxels[1, 2])


@both
def test_several_channels_are_refused_in_a_line_that_says_how_to_choose(tmp_path, version):
    foreign(tmp_path / "a.zarr", "czyx", (3, 2, 3, 4), version=version)
    found = r"axes czyx \(3, 2, 3, 4\); choose one of the 3 along c.*--at c=0"
    with pytest.raises(ValueError, match=found):
        OmeZarr.open(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("at", "found"),
    [({"c": 3}, "3 along c; c=3 names no"), ({"c": -1}, "c=-1"), ({"t": 0}, "no axis t")],
)
def test_a_choice_that_names_nothing_is_refused(tmp_path, at, found):
    foreign(tmp_path / "a.zarr", "czyx", (3, 2, 3, 4))
    with pytest.raises(ValueError, match=found):
        OmeZarr.open(tmp_path / "a.zarr", at)


def test_a_choice_goes_with_ome_zarr_alone(tmp_path):
    with (
        pytest.raises(ValueError, match=r"a\.tif is no OME-Zarr"),
        open_volume(tmp_path / "a.tif", at={"c": 0}),
    ):
        pass


@both
@pytest.mark.parametrize(("axes", "shape"), [("yx", (3, 4)), ("xyz", (2, 3, 4)), ("zyx", (3, 4))])
def test_what_is_no_volume_is_refused(tmp_path, axes, shape, version):
    foreign(tmp_path / "a.zarr", axes, shape, version=version)
    with pytest.raises(ValueError, match=f"axes {axes}.*zyx is expected"):
        OmeZarr.open(tmp_path / "a.zarr")


def test_other_versions_and_folders_are_refused(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    with pytest.raises(ValueError, match=r"no multiscale image; OME-Zarr 0\.4 or 0\.5"):
        OmeZarr.open(tmp_path / "a.zarr")
    group.attrs["ome"] = {"version": "0.6", "multiscales": [{"datasets": [{"path": "0"}]}]}
    with pytest.raises(ValueError, match=r"holds OME-Zarr 0\.6; OME-Zarr 0\.4 or 0\.5"):
        OmeZarr.open(tmp_path / "a.zarr")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    with pytest.raises(ValueError, match=r"several images; give one, .*a\.zarr/0"):
        OmeZarr.open(tmp_path / "a.zarr")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none cannot be read as OME-Zarr"):
        OmeZarr.open(tmp_path / "none")


@both
def test_a_store_written_in_part_is_refused_in_one_line(tmp_path, version, one_line):
    path = tmp_path / "a.zarr"
    foreign(path, "zyx", (4, 3, 4), version=version, chunks=(2, 3, 4), filters=None)
    group = zarr.open_group(path, mode="r+")
    attributes = group.attrs.asdict()
    images = attributes.get("ome", attributes)["multiscales"]
    images[0]["datasets"].append({"path": "s1", "coordinateTransformations": []})
    group.attrs.put(attributes)
    one_line(OmeZarr.open, path, "written in part", "array s1")


CODECS = [
    ("0.4", {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}),
    ("0.4", {"id": "zlib", "level": 1}),
    ("0.4", None),
    ("0.5", BloscCodec()),
    ("0.5", ZstdCodec()),
    ("0.5", None),
]


@pytest.mark.parametrize(("version", "codec"), CODECS)
@pytest.mark.parametrize("left", [9, 0.5, -1])
def test_a_truncated_chunk_is_refused_in_one_line(tmp_path, version, codec, left):
    """Blosc by itself reads on beyond the end, and gives what it finds there."""
    path = tmp_path / "a.zarr"
    options = {"version": version, "compressors": codec}
    voxels = foreign(path, "czyx", (2, 8, 30, 40), chunks=(1, 4, 30, 20), **options)
    (chunk,) = path.glob("s0/1/1/0/1" if version == "0.4" else "s0/c/1/1/0/1")
    stored = chunk.read_bytes()
    chunk.write_bytes(stored[: left if isinstance(left, int) else int(left * len(stored))])
    opened = OmeZarr.open(path, {"c": 1})
    beside = (slice(0, 8), slice(0, 30), slice(0, 20))
    np.testing.assert_array_equal(opened.window(beside), voxels[1][beside])
    with open_volume(path, {"c": 1}) as volume, pytest.raises(ValueError, match="again") as caught:
        volume.window((slice(3, 5), slice(5, 6), slice(0, 40)))
    assert "a.zarr" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("version", "layout"), LAYOUTS)
def test_chunks_without_a_file_are_counted(tmp_path, version, layout):
    path = tmp_path / "a.zarr"
    foreign(path, "tczyx", (1, 1, 4, 3, 4), version=version, **layout)
    array = zarr.open_group(path, mode="r")["s0"]
    number = OmeZarr.open(path).absent_chunks[1]
    assert number == np.prod(
        [-(-s // c) for s, c in zip(array.shape, array.shards or array.chunks, strict=True)]
    )
    assert OmeZarr.open(path).absent_chunks[0] == 0
    files = [p for p in (path / "s0").rglob("*") if p.is_file() and p.name[-1].isdigit()]
    files[-1].unlink()
    assert OmeZarr.open(path).absent_chunks == (1, number)
