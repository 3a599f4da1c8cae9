import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from ome_zarr_models import v04, v05

from lotus.imaging.ome_zarr import OmeZarr
from lotus.imaging.ome_zarr_metadata import label_classes
from lotus.imaging.ome_zarr_writer import OmeZarrWriter
from lotus.imaging.volume_stores import write_volume
from lotus.process_pool import map_in_processes

VOXELS = np.random.default_rng(0).random((5, 300, 20)).astype(np.float32)
SPACING = (2.0, 0.5, 0.25)
MODELS = {"0.4": v04, "0.5": v05}
both = pytest.mark.parametrize("version", MODELS)


def create(path, voxels, spacing=SPACING, options=(), **settings):
    written = OmeZarrWriter(path, voxels.shape, voxels.dtype, **settings)
    written.create(spacing, **dict(options))
    for start in range(0, len(voxels), written.depth):
        written.write(start, voxels[start : start + written.depth])
    return written


def attributes(path):
    """Of a group, from the file alone."""
    if (path / ".zattrs").exists():
        return json.loads((path / ".zattrs").read_text())
    return json.loads((path / "zarr.json").read_text())["attributes"]["ome"]


@both
def test_metadata_are_those_of_the_specification(tmp_path, version):
    """Field by field, from the files alone."""
    create(tmp_path / "a.ome.zarr", VOXELS, version=version, depth=2)
    found = attributes(tmp_path / "a.ome.zarr")
    (image,) = found["multiscales"]
    assert (image if version == "0.4" else found)["version"] == version
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
                {"type": "scale", "scale": [4.0, 1.0, 0.5]},
                # Half the distance of two voxels: where the mean of both lies.
                {"type": "translation", "translation": [1.0, 0.25, 0.125]},
            ],
        },
    ]


@both
@pytest.mark.parametrize("spacing", [SPACING, (None, 0.5, 0.25), (None, None, None)])
def test_another_library_accepts_the_metadata_of_images(tmp_path, version, spacing):
    create(tmp_path / "a.ome.zarr", VOXELS, spacing, version=version, depth=4)
    MODELS[version].image.ImageAttrs.model_validate(attributes(tmp_path / "a.ome.zarr"))
    assert OmeZarr.open(tmp_path / "a.ome.zarr").spacing_um == spacing


@both
def test_another_library_accepts_labels_with_names_and_colours(tmp_path, version):
    labels = (VOXELS * 4).astype(np.uint8)
    classes = label_classes(["lcn", "shade_off", "bone"])
    options = {"classes": classes}
    create(tmp_path / "a.ome.zarr", labels, options=options, version=version, is_label=True)
    content = attributes(tmp_path / "a.ome.zarr")
    MODELS[version].image_label.ImageLabelAttrs.model_validate(content)
    found = content["image-label"]
    assert [(c["label-value"], len(c["rgba"])) for c in found["colors"]] == [(1, 4), (2, 4), (3, 4)]
    # 1.0 would be another value to some readers.
    assert all(type(each["label-value"]) is int for each in found["colors"] + found["properties"])
    names = {1: "lcn", 2: "shade_off", 3: "bone"}
    assert OmeZarr.open(tmp_path / "a.ome.zarr").class_names == names


@both
def test_voxels_are_read_back_by_zarr_alone_and_levels_are_means(tmp_path, version):
    create(tmp_path / "a.ome.zarr", VOXELS, version=version, depth=4)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], VOXELS)
    even = VOXELS[:4].reshape(2, 2, 150, 2, 10, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(group["1"][:2], even, rtol=1e-6)
    # The last of an odd number stands for itself.
    odd = VOXELS[4].reshape(150, 2, 10, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(group["1"][2], odd, rtol=1e-6)


@both
@pytest.mark.parametrize("depth", [1, 2])
def test_chunks_of_zeros_are_left_out_and_read_as_zeros(tmp_path, version, depth):
    voxels = np.zeros((4, 20, 20), np.uint8)
    voxels[3] = 1
    create(tmp_path / "a.zarr", voxels, version=version, depth=depth)
    opened = OmeZarr.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(opened.window((slice(None),) * 3), voxels)
    assert opened.absent_chunks == (4 // depth - 1, 4 // depth)


def test_a_block_is_one_file_per_level_in_version_0_5(tmp_path):
    path = tmp_path / "a.ome.zarr"
    written = OmeZarrWriter(path, (3, 600, 300), np.dtype(np.uint8))
    written.create()
    written.write(1, np.ones((1, 600, 300), np.uint8))
    files = [p.relative_to(path) for p in path.rglob("*") if p.is_file() and p.name != "zarr.json"]
    assert sorted(map(str, files)) == ["0/c/1/0/0", "1/c/1/0/0", "2/c/1/0/0"]


@both
def test_labels_lie_within_their_image_and_are_listed(tmp_path, version):
    image = tmp_path / "a.ome.zarr"
    create(image, VOXELS, version=version)
    labels = (VOXELS * 10).astype(np.uint16)
    for name in ("lacunae", "bone"):
        options = {"image": image}
        create(image / "labels" / name, labels, options=options, version=version, is_label=True)
    listed = MODELS[version].labels.LabelsAttrs.model_validate(attributes(image / "labels"))
    assert listed.labels == ["bone", "lacunae"]
    assert attributes(image / "labels/bone")["image-label"]["source"] == {"image": "../../"}
    opened = OmeZarr.open(image)
    assert opened.label_names == ["bone", "lacunae"]
    # Numbers of objects have no mean.
    np.testing.assert_array_equal(opened.label("bone").read(2, level=1), labels[2, ::2, ::2])


def write_one(job):
    written, start, block = job
    written.write(start, block)


def blocks_of(written, voxels):
    starts = range(0, len(voxels), written.depth)
    return [(written, start, voxels[start : start + written.depth]) for start in starts]


LARGE = np.random.default_rng(1).integers(1, 255, (70, 300, 270)).astype(np.uint8)


@both
def test_threads_that_write_at_the_same_time_lose_no_voxel(tmp_path, version):
    written = OmeZarrWriter(tmp_path / "a.zarr", LARGE.shape, LARGE.dtype, 8, True, version)
    written.create()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_one, blocks_of(written, LARGE)))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], LARGE)
    np.testing.assert_array_equal(group["1"][:], LARGE[::2, ::2, ::2])


@pytest.mark.slow
@both
def test_processes_that_write_at_the_same_time_lose_no_voxel(tmp_path, version):
    written = OmeZarrWriter(tmp_path / "a.zarr", LARGE.shape, LARGE.dtype, 4, True, version)
    written.create()
    list(map_in_processes(write_one, blocks_of(written, LARGE), 3))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], LARGE)
    np.testing.assert_array_equal(group["1"][:], LARGE[::2, ::2, ::2])


@pytest.mark.parametrize(
    ("start", "shape", "dtype"),
    [
        (8, (4, 3, 4), np.uint8),  # no such slices
        (2, (4, 3, 4), np.uint8),  # across two blocks
        (0, (2, 3, 4), np.uint8),  # part of a block
        (4, (4, 3, 4), np.uint8),  # more than is left
        (0, (4, 3, 4), np.uint16),
        (-4, (4, 3, 4), np.uint8),
    ],
)
def test_what_is_no_whole_block_is_refused(tmp_path, start, shape, dtype):
    written = OmeZarrWriter(tmp_path / "a.zarr", (6, 3, 4), np.dtype(np.uint8), depth=4)
    written.create()
    with pytest.raises(ValueError, match=r"6 slices, 4 at a time, of uint8 \(3, 4\)"):
        written.write(start, np.zeros(shape, dtype))
    written.write(4, np.zeros((2, 3, 4), np.uint8))


def test_another_volume_and_another_layout_are_refused(tmp_path):
    OmeZarrWriter(tmp_path / "a.zarr", (2, 3, 4), np.dtype(np.uint8)).create()
    for shape, dtype, depth in (((2, 3, 5), "u1", 1), ((2, 3, 4), "u2", 1), ((2, 3, 4), "u1", 2)):
        with pytest.raises(ValueError, match="another volume"):
            OmeZarrWriter(tmp_path / "a.zarr", shape, np.dtype(dtype), depth).create()
    with pytest.raises(ValueError, match="voxel size"):
        OmeZarrWriter(tmp_path / "b.zarr", (2, 3, 4), np.dtype("u1")).create((0.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_a_volume_in_memory_is_written_at_once_and_replaces_an_older_one(tmp_path, name):
    for voxels in (VOXELS, VOXELS[:, :20]):
        write_volume(tmp_path / "new" / name, voxels, SPACING)
    assert [p.name for p in (tmp_path / "new").iterdir()] == [name]
    with pytest.raises(ValueError, match=r"a\.png: a volume is written as \.ome\.zarr"):
        write_volume(tmp_path / "new/a.png", VOXELS)
    with pytest.raises(ValueError, match=r"shape is \(300, 20\)"):
        write_volume(tmp_path / "new" / name, VOXELS[0])
    assert [p.name for p in (tmp_path / "new").iterdir()] == [name]


FAILING = """
import sys
from pathlib import Path
import numpy as np
from lotus.imaging.ome_zarr_writer import OmeZarrWriter
path, version = Path(sys.argv[1]), sys.argv[2]
written = OmeZarrWriter(path, (1, 4000, 4000), np.dtype("u1"), version=version)
written.create()
for chunk in range(256):
    (path / ("0/0" if version == "0.4" else "0/c/0") / f"{chunk // 16}/{chunk % 16}/x").mkdir(
        parents=True
    )
try:
    written.write(0, np.ones((1, 4000, 4000), np.uint8))
except OSError:
    print("refused")
"""


@pytest.mark.slow
@both
def test_files_that_cannot_be_written_are_one_error(tmp_path, version):
    """Zarr would tell of every file that was on its way when the first one failed."""
    command = [sys.executable, "-c", FAILING, tmp_path / "a.zarr", version]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")
