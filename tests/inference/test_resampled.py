"""Images of another pixel size than the model's: tested, segmented, and brought back."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from data_modules.manifest import Record, write_manifest
from lotus.cli import main
from lotus.imaging import (
    object_features,
    read_image,
    read_label_map,
    write_image,
    write_label_map,
)
from lotus.inference.label_spool import LabelSpool
from lotus.inference.native_bands import native_bands
from lotus.inference.options import SegmentOptions
from lotus.inference.segment import segment_image
from lotus.inference.segmenter import load_segmenter
from lotus.masks import UnionFind
from lotus.schemes import ConnectedComponents
from lotus.tasks import SegmentationTask
from lotus.tasks.description import describe, public_path
from lotus.tasks.native_grid import as_seen, at_native_size
from lotus.transforms import DtypeRange
from lotus.transforms.resampling import Resampling
from lotus.windows import ObjectCollector, decode_bands

MODEL_UM = (1.0, 1.0)
SIZE = (150, 110)
SPACINGS = {
    "finer": (0.5, 0.5),
    "a little finer": (0.8, 0.8),
    "coarser": (2.0, 2.0),
    "far coarser": (4.1, 4.1),
    "not square": (0.4, 1.7),
}


class Threshold(nn.Module):
    """What is bright is foreground, or of the second class where it is brightest."""

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.slope = nn.Parameter(torch.tensor(20.0))

    def forward(self, image):
        bright = self.slope * (image - 0.5)
        if self.out_channels == 1:
            return bright
        return torch.cat((-bright, bright, 2 * bright - 5), dim=1)


@pytest.fixture
def pixels() -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(5).normal(size=SIZE), 3.0)
    scaled = (noise - noise.min()) / np.ptp(noise)
    return (255 * scaled).astype(np.uint8)


@pytest.fixture
def make_checkpoint(tmp_path):
    """Function that writes the checkpoint of a task and gives its path and the task."""

    def make(classes=1, minimum_size=0, **record):
        names = [f"class{number}" for number in range(classes)]
        scheme = ConnectedComponents(minimum_size)
        network = Threshold(1, scheme.channels(classes))
        task = SegmentationTask(network, names, instances=scheme, in_channels=1, window=32).eval()
        record = (
            task.inference_record()
            | {"preprocessing": describe(DtypeRange()), "spacing_um": MODEL_UM, "resample": True}
            | record
        )
        path = tmp_path / "model.ckpt"
        torch.save({"state_dict": task.state_dict(), "segmenter": record}, path)
        return path, task

    return make


def batch_of(pixels, grids):
    image = torch.from_numpy(DtypeRange()(pixels[None]))[None]
    instances = torch.from_numpy((pixels > 127).astype(np.int32))[None]
    ignored = torch.from_numpy(pixels > 250)[None]
    return {
        "image": image,
        "mask": instances.long(),
        "instances": instances,
        "ignored": ignored,
        "network_size": torch.tensor([grids.network]),
    }


def grids_of(spacing):
    return Resampling(SIZE, (round(SIZE[0] * spacing[0]), round(SIZE[1] * spacing[1])))


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_what_is_tested_is_what_is_deployed(spacing, classes, pixels, make_checkpoint, tmp_path):
    path, task = make_checkpoint(classes, minimum_size=3)
    write_image(tmp_path / "a.tif", pixels, spacing)
    lines = []
    options = SegmentOptions(progress=False)
    segment_image(load_segmenter(path, "cpu"), tmp_path / "a.tif", tmp_path, options, lines.append)
    batch = batch_of(pixels, grids_of(spacing))
    del batch["ignored"]
    with torch.inference_mode():
        prediction = task.predict_step(batch, 0)
        tested = task.test_step(batch, 0)
    labels = read_label_map(tmp_path / "a_labels.tif")
    assert labels.shape == SIZE
    assert labels.max() > 3
    np.testing.assert_array_equal(prediction["labels"], labels)
    np.testing.assert_array_equal(tested["labels"], labels)
    # Of pixels one by one, the blended logits are those of the whole image.
    seen = as_seen(batch)
    expected = task.segmentation_loss(task(seen["image"]), seen)
    torch.testing.assert_close(task.test_loss.compute(), expected.detach(), rtol=1e-4, atol=1e-5)
    probability = read_image(tmp_path / "a_probability.tif")
    assert probability.spacing_um == pytest.approx(spacing)
    as_bytes = (prediction["probability"] * np.float32(255) + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(as_bytes, probability.array)
    assert prediction["classes"].shape == SIZE
    assert (lines[0].startswith("note: a.tif is resampled from"), len(lines)) == (True, 1)
    objects = pd.read_csv(tmp_path / "a_objects.csv")
    areas = np.bincount(labels.ravel())[1:] * np.prod(spacing)
    np.testing.assert_allclose(objects.sort_values("label")["area_um2"], areas, rtol=1e-6)
    outlines = json.loads((tmp_path / "a.geojson").read_text())["features"]
    expected = [json.loads(json.dumps(each)) for each in object_features(labels, "of labels")]
    found = [str(outline["geometry"]) for outline in outlines]
    assert sorted(found) == sorted(str(outline["geometry"]) for outline in expected)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (2.0, 2.0), (0.4, 1.7)])
def test_objects_lie_where_they_are_in_the_image(spacing, pixels, make_checkpoint):
    _, task = make_checkpoint()
    with torch.inference_mode():
        found = task.predict_step(batch_of(pixels, grids_of(spacing)), 0)["labels"] > 0
    truth = pixels > 127
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.92


def test_the_loss_is_taken_as_the_network_sees_the_image(pixels):
    batch = batch_of(pixels, grids_of((0.5, 2.0)))
    seen = as_seen(batch)
    assert seen["image"].shape == (1, 1, 75, 220)
    for name in ("mask", "instances", "ignored"):
        assert seen[name].shape == (1, 75, 220)
        assert seen[name].dtype == batch[name].dtype
    del batch["network_size"]
    assert as_seen(batch) is batch


def test_objects_lost_between_larger_pixels_leave_no_gap():
    labels = np.zeros((8, 8), np.int32)
    labels[1, 1], labels[0, 0], labels[4:, 4:] = 1, 2, 3
    found = {"labels": labels, "probability": labels.astype(np.float32), "classes": labels > 0}
    batch = {"image": torch.zeros(1, 1, 4, 4), "network_size": torch.tensor([[8, 8]])}
    native = at_native_size(found, batch)
    expected = np.zeros((4, 4), np.int32)
    expected[0, 0], expected[2:, 2:] = 1, 2
    np.testing.assert_array_equal(native["labels"], expected)
    np.testing.assert_array_equal(native["probability"], labels[1::2, 1::2])


def test_objects_go_on_across_bands_without_a_row(tmp_path):
    probability = np.zeros((1, 8, 12), np.float32)
    probability[:, :, :4] = 1.0
    grids, same = Resampling((2, 3), (8, 12)), UnionFind()
    collector = ObjectCollector(same)
    parts = (probability[:, :4], probability[:, 4:5], probability[:, 5:])
    decoded = decode_bands(parts, ConnectedComponents(), height=8, halo=1, same=same)
    bands = list(native_bands(decoded, grids))
    finished = [found for band in bands for found in collector.add(band)]
    assert [len(band.labels) for band in bands] == [1, 0, 1]
    labels = np.concatenate([collector.numbers.final_labels(band) for band in bands])
    np.testing.assert_array_equal(labels, [[1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(finished[-1].labels, labels)
    with LabelSpool(tmp_path) as spool:
        for band in bands:
            spool.append(band)
        assert [band.labels.shape for band in spool] == [(1, 3), (0, 3), (1, 3)]


def segmented(capsys, checkpoint, image, *options) -> tuple[np.ndarray, str]:
    output = image.parent / "out"
    given = [str(image), "--checkpoint", str(checkpoint), "--output", str(output)]
    assert main(["segment", *given, "--device", "cpu", *options]) == 0
    return read_label_map(output / f"{image.stem}_labels.tif"), capsys.readouterr().out


def test_images_may_be_taken_as_they_are(pixels, make_checkpoint, tmp_path, capsys):
    path, task = make_checkpoint()
    write_image(tmp_path / "a.tif", pixels, (2.0, 2.0))
    labels, said = segmented(capsys, path, tmp_path / "a.tif", "--no-resample")
    assert "warning: a.tif has 2 µm per pixel" in said
    assert "leave --no-resample out" in said
    batch = batch_of(pixels, grids_of((1.0, 1.0)))
    with torch.inference_mode():
        np.testing.assert_array_equal(labels, task.predict_step(batch, 0)["labels"])
    resampled, _ = segmented(capsys, path, tmp_path / "a.tif")
    assert (resampled != labels).any()


def test_checkpoints_that_say_nothing_of_it_warn_as_ever(pixels, make_checkpoint, tmp_path, capsys):
    path, _ = make_checkpoint()
    contents = torch.load(path, weights_only=True)
    del contents["segmenter"]["resample"]
    torch.save(contents, path)
    write_image(tmp_path / "a.tif", pixels, (2.0, 2.0))
    labels, said = segmented(capsys, path, tmp_path / "a.tif")
    assert "warning: a.tif has 2 µm per pixel, the training images had 1 µm; rescale" in said
    as_it_is, _ = segmented(capsys, path, tmp_path / "a.tif", "--no-resample")
    np.testing.assert_array_equal(labels, as_it_is)


def test_equal_sizes_say_and_change_nothing(pixels, make_checkpoint, tmp_path, capsys):
    path, _ = make_checkpoint()
    write_image(tmp_path / "a.tif", pixels, (1.005, 1.005))
    labels, said = segmented(capsys, path, tmp_path / "a.tif")
    as_it_is, same = segmented(capsys, path, tmp_path / "a.tif", "--no-resample")
    np.testing.assert_array_equal(labels, as_it_is)
    assert said == same
    assert "µm" not in said


def test_a_size_that_cannot_be_right_is_refused(pixels, make_checkpoint, tmp_path, capsys):
    path, _ = make_checkpoint()
    write_image(tmp_path / "a.tif", pixels, (40.0, 40.0))
    given = [str(tmp_path / "a.tif"), "--checkpoint", str(path), "--output", str(tmp_path / "o")]
    assert main(["segment", *given, "--device", "cpu"]) != 0
    said = capsys.readouterr().err
    assert "a.tif: pixels are 40 µm" in said
    assert "--pixel-size-um, or --no-resample" in said
    assert main(["segment", *given, "--device", "cpu", "--pixel-size-um", "1"]) == 0


def test_folds_of_different_sizes_make_no_ensemble(make_checkpoint, tmp_path):
    first, _ = make_checkpoint()
    contents = torch.load(first, weights_only=True)
    for fold, size in enumerate((1.0, 2.0)):
        path = tmp_path / f"cv/fold{fold}/checkpoints/best.ckpt"
        path.parent.mkdir(parents=True)
        contents["segmenter"]["spacing_um"] = [size, size]
        torch.save(contents, path)
        split = tmp_path / f"cv/splits/fold{fold}.json"
        split.parent.mkdir(exist_ok=True)
        split.touch()
    with pytest.raises(ValueError, match="make no ensemble: their spacing_um is"):
        load_segmenter(tmp_path / "cv", "cpu")


@pytest.mark.slow
def test_from_the_command_line(pixels, tmp_path, capsys):
    records = []
    for number, (split, size) in enumerate(
        [("train", 1.0), ("train", 0.5), ("val", 2.0), ("test", 0.8), ("test", 1.0)]
    ):
        image = tmp_path / split / f"picture{number}.tif"
        mask = tmp_path / "masks" / f"picture{number}.png"
        turned = np.roll(pixels, 20 * number)
        write_image(image, turned, (size, size))
        write_label_map(mask, turned > 127)
        records.append(
            Record(image, mask, "semantic", "grey", f"P{number}", "all", size, split=split)
        )
    write_manifest(tmp_path / "manifest.csv", records)
    arguments = {
        "model": "lotus.tasks.SegmentationTask",
        "model.init_args.network": public_path(Threshold),
        "model.init_args.class_names": "[bright]",
        "model.init_args.in_channels": 1,
        "data": "data_modules.SegmentationDataModule",
        "data.init_args.manifest": tmp_path / "manifest.csv",
        "data.init_args.modality": "grey",
        "data.init_args.class_names": "[bright]",
        "data.init_args.in_channels": 1,
        "data.init_args.patch_size": 32,
        "data.init_args.batch_size": 2,
        "trainer.accelerator": "cpu",
        "trainer.max_epochs": 1,
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "runs": tmp_path,
        "experiment": "one",
        "run": "spacing",
    }
    assert main(["fit", *(f"--{key}={value}" for key, value in arguments.items())]) == 0
    run = tmp_path / "one/spacing"
    record = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["segmenter"]
    assert (record["spacing_um"], record["resample"]) == ([1.0, 1.0], True)
    data = json.loads((run / "data.json").read_text())
    assert (data["spacing_um"], data["resampled"]) == ([1.0, 1.0], True)
    assert main(["test", "--config", str(run / "config.yaml")]) == 0
    given = [str(tmp_path / "test"), "--checkpoint", str(run), "--output", str(tmp_path / "out")]
    assert main(["segment", *given, "--device", "cpu"]) == 0
    for number in (3, 4):
        tested = read_label_map(run / f"predictions/picture{number}.tif")
        deployed = read_label_map(tmp_path / f"out/picture{number}_labels.tif")
        np.testing.assert_array_equal(tested, deployed)
    assert pd.read_csv(run / "scores.csv")["dice"].min() > 0.8
