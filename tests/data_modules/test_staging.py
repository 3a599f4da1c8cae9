"""Every adapter: a refused data set leaves no trace, and an accepted one is whole."""

from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from data_modules.adapters import deepliif, dsb2018, folder
from data_modules.adapters.overrides import Overrides
from data_modules.manifest import ManifestError, read_manifest
from lotus.commands.prepare import DATA_SETS
from lotus.imaging.raster import read_image, write_image, write_label_map
from tests.data_modules.strips import draw_release

LABELS = np.kron(np.array([[0, 1], [2, 0]]), np.ones((4, 5))).astype(np.uint8)


def draw_pair(image, mask, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*LABELS.shape, 3)).astype(np.uint8)
    write_image(image, pixels)
    write_label_map(mask, LABELS)
    return image


def draw_folder(root):
    return [draw_pair(root / f"images/{n}.png", root / f"masks/{n}.png", n) for n in (1, 2)]


def draw_dsb2018(root):
    samples = [root / f"stage1_train/{n}" for n in (1, 2)]
    return [draw_pair(s / f"images/{s.name}.png", s / "masks/m.png", int(s.name)) for s in samples]


def draw_nuinsseg(root):
    places = [(root / organ, f"{organ}_1.png") for organ in ("bone", "skin")]
    return [
        draw_pair(place / "tissue images" / name, place / "label masks" / name, seed)
        for seed, (place, name) in enumerate(places)
    ]


def draw_bonesai(root):
    samples = [root / f"bonesai-histo/{sample}" for sample in ("S1", "S2")]
    return [
        draw_pair(s / "tissue images/histo.png", s / "mask binary/mask.png", seed)
        for seed, s in enumerate(samples)
    ]


def draw_deepliif(root):
    return sorted(draw_release(root).rglob("*.png"))


DRAW = {
    "folder": draw_folder,
    "dsb2018": draw_dsb2018,
    "nuinsseg": draw_nuinsseg,
    "bonesai": draw_bonesai,
    "deepliif": draw_deepliif,
}


def make_transparent(path):
    pixels = np.dstack([read_image(path).array, np.full((*read_image(path).array.shape[:2],), 255)])
    pixels[0, 0, 3] = 254
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def make_constant(path):
    write_image(path, np.full_like(read_image(path).array, 7))


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


SPOIL = {"transparent": make_transparent, "constant": make_constant, "truncated": cut}


def contents(path):
    """Files with their bytes, links with where they lead."""
    return {
        file: file.readlink() if file.is_symlink() else file.read_bytes()
        for file in path.rglob("*")
        if not file.is_dir()
    }


@pytest.mark.parametrize("spoil", SPOIL)
@pytest.mark.parametrize("data_set", DATA_SETS)
def test_a_refused_data_set_leaves_no_trace(tmp_path, data_set, spoil):
    root, output = tmp_path / "in", tmp_path / "new/out"
    images = DRAW[data_set](root)
    prepare = import_module(f"data_modules.adapters.{data_set}").prepare
    spoilt = images[-1]
    good = spoilt.read_bytes()
    SPOIL[spoil](spoilt)
    with pytest.raises(ValueError, match=spoil) as error:
        prepare(root, output)
    assert ".prepare-" not in str(error.value)
    assert not output.parent.exists()

    spoilt.write_bytes(good)
    records = read_manifest(prepare(root, output))
    assert len({record.name for record in records}) == len(images)
    before = contents(output)
    SPOIL[spoil](spoilt)
    for image in images[:-1]:  # would be converted to something else
        write_image(image, 255 - read_image(image).array)
    with pytest.raises(ValueError, match=spoil):
        prepare(root, output)
    assert contents(output) == before


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_a_data_set_behind_links(tmp_path, data_set):
    """A link to the data set, and links to the folders in it."""
    DRAW[data_set](tmp_path / "in")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "links").mkdir()
    for path in (tmp_path / "in").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)
    prepare = import_module(f"data_modules.adapters.{data_set}").prepare
    expected = read_manifest(prepare(tmp_path / "in", tmp_path / "out"))
    for name in ("link", "links"):
        found = read_manifest(prepare(tmp_path / name, tmp_path / f"out-{name}"))
        assert [(r.patient, r.name) for r in found] == [(r.patient, r.name) for r in expected]
        for record, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(
                read_image(record.image).array, read_image(other.image).array
            )


def test_all_unreadable_files_are_named_at_once(tmp_path):
    images = draw_folder(tmp_path / "in")
    make_transparent(images[0])
    Image.fromarray(np.zeros((*LABELS.shape, 3), np.uint8)).save(tmp_path / "in/masks/2.png")
    with pytest.raises(ManifestError) as error:
        folder.prepare(tmp_path / "in", tmp_path / "out", Overrides(mask_kind="instances"))
    first, second = error.value.problems
    assert first.startswith("row 2, column image:")
    assert "1.png" in first
    assert second.startswith("row 3, column mask:")
    assert "3 channels" in second


def test_converted_files_are_named_where_they_would_be(tmp_path):
    """A problem of the manifest: two regions whose converted masks lie in the output."""
    draw_release(tmp_path / "in")
    overrides = Overrides(pixel_size_um=-1.0)
    with pytest.raises(ValueError, match=r"pixel_size_um: found '-1.0'") as error:
        deepliif.prepare(tmp_path / "in", tmp_path / "out", overrides)
    assert str(error.value).startswith(str(tmp_path / "out/manifest.csv"))
    assert not (tmp_path / "out").exists()


def test_patients_are_found_in_the_final_path_of_a_converted_image(tmp_path):
    draw_dsb2018(tmp_path)
    pattern = Overrides(patient_pattern="^(out/images/.)[.]png$")
    records = read_manifest(dsb2018.prepare(tmp_path, tmp_path / "out", pattern))
    assert [record.patient for record in records] == ["out/images/1", "out/images/2"]


def test_the_output_may_be_the_data_set_and_hold_other_files(tmp_path):
    draw_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    records = read_manifest(folder.prepare(tmp_path, tmp_path))
    assert "images/1.png" in (tmp_path / "manifest.csv").read_text()
    assert len(records) == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        "images",
        "masks",
        "notes.txt",
        "manifest.csv",
    }
    with pytest.raises(ValueError, match=r"notes\.txt is a file"):
        folder.prepare(tmp_path, tmp_path / "notes.txt")
