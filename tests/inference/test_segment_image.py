"""Files in, files out: images, folders, slides, and what cannot be segmented."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from scipy.ndimage import label
from torch import nn

from lotus.imaging import read_image, read_label_map, write_image
from lotus.inference import outputs
from lotus.inference.options import SegmentOptions
from lotus.inference.segment import segment_folder, segment_image
from lotus.schemes import BoundaryWatershed
from lotus.transforms import PercentileRange, Preprocessing

OPTIONS = SegmentOptions(window=64, progress=False)
NAMES = ["image.geojson", "image_labels.tif", "image_objects.csv", "image_probability.tif"]


def quiet(line: str) -> None:
    raise AssertionError(f"nothing to say here, but: {line}")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_all_four_results_say_the_same(tmp_path, grey_threshold, blobs):
    write_image(tmp_path / "image.tif", blobs, spacing_um=(0.5, 0.25))
    found = segment_image(
        grey_threshold(), tmp_path / "image.tif", tmp_path / "out", OPTIONS, quiet
    )
    assert names_in(tmp_path / "out") == NAMES

    expected, count = label(blobs >= 128, np.ones((3, 3)))
    labels = read_label_map(tmp_path / "out" / "image_labels.tif")
    assert (found.count, found.unmeasured) == (count, 0)
    assert len(np.unique(np.stack((labels, expected)).reshape(2, -1), axis=1).T) == count + 1
    assert labels.dtype == np.uint8

    probability = read_image(tmp_path / "out" / "image_probability.tif")
    expected_probability = 255 / (1 + np.exp(-20 * (blobs / 255 - 0.5)))
    np.testing.assert_allclose(probability.array, expected_probability, atol=0.51)
    assert probability.spacing_um == (0.5, 0.25)

    table = pd.read_csv(tmp_path / "out" / "image_objects.csv").set_index("label")
    assert sorted(table.index) == list(range(1, count + 1))
    np.testing.assert_array_equal(table.area_px.sort_index(), np.bincount(labels.ravel())[1:])
    np.testing.assert_allclose(table.area_um2, table.area_px * 0.125, rtol=1e-5)
    rows, columns = np.nonzero(labels == 3)
    np.testing.assert_allclose(
        table.loc[3, ["centroid_y_px", "centroid_x_px", "mean_probability"]].astype(float),
        [rows.mean() + 0.5, columns.mean() + 0.5, expected_probability[labels == 3].mean() / 255],
        rtol=1e-4,
    )

    features = json.loads((tmp_path / "out" / "image.geojson").read_text())["features"]
    assert {int(f["properties"]["name"]) for f in features} == set(table.index)
    for feature in features:
        properties = feature["properties"]
        assert properties["classification"]["name"] == "lacuna"
        area = table.area_px[int(properties["name"])]
        assert properties["measurements"]["Area px^2"] == area


def test_results_do_not_depend_on_windows_or_batches(tmp_path, grey_threshold, blobs):
    write_image(tmp_path / "image.png", blobs)
    results = []
    for number, (window, overlap, batch) in enumerate([(32, 0.0, 1), (96, 0.5, 3), (512, 0.25, 4)]):
        options = SegmentOptions(window, overlap, batch, progress=False)
        folder = tmp_path / str(number)
        segment_image(grey_threshold(), tmp_path / "image.png", folder, options, quiet)
        results.append(read_label_map(folder / "image_labels.tif") > 0)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_tiled_slide_is_segmented_like_the_plain_image(tmp_path, grey_threshold, blobs):
    tifffile.imwrite(tmp_path / "image.ome.tif", blobs, tile=(16, 16), compression="zlib")
    write_image(tmp_path / "image.png", blobs)
    for source, folder in (("image.ome.tif", "slide"), ("image.png", "plain")):
        segment_image(grey_threshold(), tmp_path / source, tmp_path / folder, OPTIONS, quiet)
        assert names_in(tmp_path / folder) == NAMES
    for name in ("image_labels.tif", "image_probability.tif"):
        np.testing.assert_array_equal(
            read_image(tmp_path / "slide" / name).array,
            read_image(tmp_path / "plain" / name).array,
        )


class InvertedByMaximum(Preprocessing):
    """Needs the whole image: its maximum becomes 0, and 0 becomes 1."""

    def __call__(self, image):
        return (1 - image / image.max()).astype(np.float32)


def test_limits_are_those_of_the_whole_image(tmp_path, grey_threshold):
    image = np.zeros((200, 40), np.uint16)
    image[:100] = np.arange(100)[:, None]
    image[100:] = 1000 + 10 * np.arange(100)[:, None]
    tifffile.imwrite(tmp_path / "image.tif", image)
    for preprocessing, expected in (
        (PercentileRange(0, 100), image / 1990),
        (InvertedByMaximum(), 1 - image / 1990),
    ):
        segmenter = grey_threshold(preprocessing=preprocessing)
        segment_image(segmenter, tmp_path / "image.tif", tmp_path, OPTIONS, quiet)
        found = read_image(tmp_path / "image_probability.tif").array
        np.testing.assert_allclose(found, 255 / (1 + np.exp(-20 * (expected - 0.5))), atol=0.51)


class TwoClasses(nn.Module):
    """Left bright pixels are class 1, right ones class 2; deep supervision gives a second scale."""

    def forward(self, image):
        # The first channel is bright where class 1 is, the second where class 2 is.
        logits = torch.stack((0.5 - image.amax(1), image[:, 0] - 0.5, image[:, 1] - 0.5), 1)
        return [20 * logits, torch.zeros_like(logits)[..., ::2, ::2]]


def test_objects_of_several_classes_get_the_most_probable_one(tmp_path, grey_threshold):
    image = np.zeros((150, 60, 3), np.uint8)
    image[10:90, 5:15, 0] = 255
    image[40:140, 30:50, 1] = 255
    tifffile.imwrite(tmp_path / "image.tif", image)
    segmenter = grey_threshold(
        networks=[TwoClasses()], class_names=["lacuna", "canal"], in_channels=3
    )
    found = segment_image(segmenter, tmp_path / "image.tif", tmp_path, OPTIONS, quiet)
    assert found.count == 2
    table = pd.read_csv(tmp_path / "image_objects.csv")
    assert dict(zip(table["class"], table.area_px, strict=True)) == {"lacuna": 800, "canal": 2000}
    features = json.loads((tmp_path / "image.geojson").read_text())["features"]
    assert {
        f["properties"]["classification"]["name"]: f["properties"]["measurements"]["Area px^2"]
        for f in features
    } == {"lacuna": 800, "canal": 2000}


def test_grey_images_go_through_a_network_for_rgb(tmp_path, grey_threshold, blobs):
    write_image(tmp_path / "image.tif", blobs)
    counts = [
        segment_image(
            grey_threshold(in_channels=channels), tmp_path / "image.tif", tmp_path, OPTIONS, quiet
        ).count
        for channels in (1, 3)
    ]
    assert counts[0] == counts[1] > 3


def test_bfloat16_gives_nearly_the_same(tmp_path, grey_threshold, blobs):
    write_image(tmp_path / "image.tif", blobs)
    for precision in ("32", "bf16"):
        options = SegmentOptions(window=64, precision=precision, progress=False)
        segment_image(
            grey_threshold(), tmp_path / "image.tif", tmp_path / precision, options, quiet
        )
    full, half = (
        read_image(tmp_path / precision / "image_probability.tif").array.astype(int)
        for precision in ("32", "bf16")
    )
    assert 0 < np.abs(full - half).max() < 8


def test_an_image_without_objects_has_empty_results(tmp_path, grey_threshold):
    dark = np.tile(np.arange(50, dtype=np.uint8), (70, 1))
    write_image(tmp_path / "image.tif", dark)
    found = segment_image(grey_threshold(), tmp_path / "image.tif", tmp_path, OPTIONS, quiet)
    assert found.count == 0
    assert not read_label_map(tmp_path / "image_labels.tif").any()
    assert json.loads((tmp_path / "image.geojson").read_text())["features"] == []
    table = pd.read_csv(tmp_path / "image_objects.csv")
    assert len(table) == 0
    assert "area_px" in table.columns


@pytest.mark.parametrize(
    ("of_file", "given", "trained", "area", "words"),
    [
        (None, None, None, None, []),
        ((0.5, 0.5), None, (0.5, 0.5), 0.25, []),
        ((0.5, 0.5), None, (1.0, 1.0), 0.25, ["warning", "0.5 µm", "1 µm"]),
        ((0.5, 0.5), 1.0, (1.0, 1.0), 1.0, ["note", "0.5 µm", "1 µm"]),
        (None, 2.0, (1.9, 1.9), 4.0, []),
        (None, None, (1.0, 1.0), None, []),
    ],
)
def test_pixel_size(tmp_path, grey_threshold, blobs, of_file, given, trained, area, words):
    write_image(tmp_path / "image.tif", blobs, spacing_um=of_file)
    lines: list[str] = []
    options = SegmentOptions(window=64, pixel_size_um=given, progress=False)
    segmenter = grey_threshold(spacing_um=trained)
    segment_image(segmenter, tmp_path / "image.tif", tmp_path / "out", options, lines.append)
    assert len(lines) == (1 if words else 0)
    assert all(word in line for line in lines for word in words)
    table = pd.read_csv(tmp_path / "out" / "image_objects.csv")
    if area is None:
        assert not [name for name in table.columns if "um" in name]
    else:
        np.testing.assert_allclose(table.area_um2, table.area_px * area, rtol=1e-5)


def bad_file(kind: str, folder: Path, pixels: np.ndarray) -> Path:
    path = folder / "bad.tif"
    if kind == "truncated":
        tifffile.imwrite(path, pixels, tile=(64, 64), compression="zlib")
        path.write_bytes(path.read_bytes()[:-3000])
    elif kind == "RGBA":
        path = folder / "bad.png"
        Image.fromarray(np.stack([pixels] * 4, axis=-1)).save(path)
    elif kind == "constant":
        tifffile.imwrite(path, np.full((90, 80), 7, np.uint8))
    elif kind == "NaN":
        tifffile.imwrite(path, np.full((90, 80), np.nan, np.float32))
    elif kind == "stack":
        tifffile.imwrite(path, np.stack([pixels] * 3)[..., None], photometric="minisblack")
    elif kind == "float":
        tifffile.imwrite(path, pixels.astype(np.float32))
    elif kind == "RGB":
        tifffile.imwrite(path, np.stack([pixels] * 3, axis=-1), photometric="rgb")
    elif kind == "text":
        path.write_text("not an image")
    return path


KINDS = ["truncated", "RGBA", "constant", "NaN", "stack", "float", "RGB", "text", "missing"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_image_is_one_line_and_leaves_nothing(tmp_path, grey_threshold, blobs, kind):
    path = bad_file(kind, tmp_path, blobs)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        segment_image(grey_threshold(), path, tmp_path / "out", OPTIONS, quiet)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path / "out") == []


@pytest.mark.slow
def test_a_bad_image_in_a_folder_is_named_and_the_others_are_segmented(
    tmp_path, grey_threshold, blobs
):
    images = tmp_path / "images"
    write_image(images / "a.tif", blobs)
    bad_file("constant", images, blobs)
    write_image(images / "c.png", blobs)
    (images / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"1 of 3 .*bad\.tif is constant") as caught:
        segment_folder(grey_threshold(), images, tmp_path / "out", OPTIONS, quiet)
    assert "\n" not in str(caught.value)
    results = names_in(tmp_path / "out")
    assert {name[0] for name in results} == {"a", "c"}
    assert len(results) == 8


def test_one_cause_is_said_once_of_a_folder(tmp_path, grey_threshold, blobs):
    for name in "abc":
        write_image(tmp_path / f"images/{name}.tif", blobs, spacing_um=(0.5, 0.5))
    write_image(tmp_path / "images/d.tif", blobs, spacing_um=(1.0, 1.0))
    for name in "xy":
        write_image(tmp_path / f"images/{name}.tif", np.zeros_like(blobs))
    options = replace(OPTIONS, pixel_size_um=0.25)
    said = []
    line = r"^2 of 6 images .*: \S*x\.tif is constant.* \(so it is with y\.tif\)$"
    with pytest.raises(ValueError, match=line):
        segment_folder(
            grey_threshold(), tmp_path / "images", tmp_path / "out", options, said.append
        )
    given = "a.tif: the file states 0.5 µm per pixel; the given 0.25 µm is used"
    first, last = (text for text in said if given in text)
    assert last == f"{first} (so it is with b.tif, c.tif)"
    assert not any("b.tif: " in text for text in said)
    assert sum("d.tif: " in text for text in said) == 1


def test_a_good_folder_gives_what_was_found(tmp_path, grey_threshold, blobs):
    images = tmp_path / "images"
    write_image(images / "a.tif", blobs)
    write_image(images / "b.tif", 255 - blobs)
    found = segment_folder(grey_threshold(), images, tmp_path / "out", OPTIONS, quiet)
    assert [path.name for path in found] == ["a.tif", "b.tif"]
    assert all(result.count > 0 for result in found.values())


def test_folders_that_cannot_be_segmented(tmp_path, grey_threshold, blobs):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no image"):
        segment_folder(grey_threshold(), tmp_path / "empty", tmp_path / "out", OPTIONS, quiet)
    write_image(tmp_path / "twins" / "a.tif", blobs)
    write_image(tmp_path / "twins" / "a.png", blobs)
    with pytest.raises(ValueError, match=r"a\.png and a\.tif"):
        segment_folder(grey_threshold(), tmp_path / "twins", tmp_path / "out", OPTIONS, quiet)
    with pytest.raises(ValueError, match="input and output"):
        segment_folder(grey_threshold(), tmp_path / "twins", tmp_path / "twins", OPTIONS, quiet)
    (tmp_path / "file").write_text("")
    for segment in (segment_folder, segment_image):
        with pytest.raises(ValueError, match="file is a file"):
            segment(grey_threshold(), tmp_path / "twins", tmp_path / "file", OPTIONS, quiet)


class FailsAfter(nn.Module):
    """Works for a number of batches and then ends the run."""

    def __init__(self, batches: int, error: BaseException) -> None:
        super().__init__()
        self.left, self.error = batches, error

    def forward(self, image):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return 20 * (image - 0.5)


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_an_interrupted_run_leaves_earlier_results_alone(tmp_path, grey_threshold, blobs, error):
    write_image(tmp_path / "image.tif", blobs)
    out = tmp_path / "out"
    segment_image(grey_threshold(), tmp_path / "image.tif", out, OPTIONS, quiet)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    segmenter = grey_threshold(networks=[FailsAfter(3, error)])
    with pytest.raises(type(error)):
        segment_image(segmenter, tmp_path / "image.tif", out, OPTIONS, quiet)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_full_disk_while_writing_labels_leaves_nothing(
    tmp_path, grey_threshold, blobs, monkeypatch
):
    def no_space(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "write_tiled", no_space)
    write_image(tmp_path / "image.tif", blobs)
    with pytest.raises(OSError, match="No space left"):
        segment_image(grey_threshold(), tmp_path / "image.tif", tmp_path / "out", OPTIONS, quiet)
    assert names_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"window": 100}, "window is 100"),
        ({"overlap": 1.5}, "overlap is 1.5"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"pixel_size_um": -1.0}, "pixel size is -1"),
        ({"precision": "16"}, "precision is '16'"),
    ],
)
def test_impossible_options_are_refused(settings, wrong):
    with pytest.raises(ValueError, match=wrong):
        SegmentOptions(**settings)


@pytest.mark.slow
def test_watershed_keeps_touching_objects_of_a_real_slide_apart(
    tmp_path, grey_threshold, shared_data
):
    slide = shared_data / "wsi" / "histology_mosaic_rgb.ome.tif"

    class Darkness(nn.Module):
        def forward(self, image):
            depth = 20 * (0.5 - nn.functional.avg_pool2d(image.mean(1, keepdim=True), 5, 1, 2))
            return torch.cat((-depth, depth - 1, 1 - depth.abs()), 1)

    segmenter = grey_threshold(
        networks=[Darkness()], in_channels=3, instances=BoundaryWatershed(minimum_size=20)
    )
    options = SegmentOptions(progress=False)
    found = segment_image(segmenter, slide, tmp_path, options, quiet)
    labels = read_label_map(tmp_path / "histology_mosaic_rgb_labels.tif")
    assert labels.shape == (1536, 2560)
    assert labels.max() == found.count > 100
