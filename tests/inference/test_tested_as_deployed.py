"""What `lotus test` scores is what `lotus segment` gives, byte for byte."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

from data_modules.manifest import Record, write_manifest
from lotus.cli import main
from lotus.imaging import read_image, read_label_map, write_image, write_label_map
from lotus.inference.options import SegmentOptions
from lotus.inference.segment import segment_image
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed, ConnectedComponents, FlowField, InstanceScheme
from lotus.tasks import SegmentationTask
from lotus.tasks.description import describe, public_path
from lotus.transforms import DtypeRange, PercentileRange

WINDOW = 64
SIZES = {
    "smaller": (40, 50),
    "equal": (64, 64),
    "larger": (150, 210),
    "multiples": (96, 128),
    "tall": (201, 33),
    "wide": (17, 130),
}


class Contextual(nn.Module):
    """Blue is foreground; a U-Net of random weights adds what depends on the surroundings."""

    def __init__(self, out_channels: int = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        torch.manual_seed(0)
        self.unet = UNet(3, out_channels, filters=(4, 8))

    def forward(self, image):
        red, green, blue = image.unbind(1)
        foreground = 16 * (F.avg_pool2d(blue, 3, 1, 1) - 0.6)
        maps = {
            1: (foreground,),
            3: (10 * red - 5, 10 * green - 5, foreground),
            4: (-foreground, foreground * red, foreground * green, foreground * (1 - green)),
        }[self.out_channels]
        return torch.stack(maps, dim=1) + self.unet(image)


class Layers(Contextual):
    """The same as background, interior and boundary."""

    def forward(self, image):
        depth = 16 * (F.avg_pool2d(image[:, 2], 5, 1, 2) - 0.5)
        return torch.stack((-depth, depth - 2, 2 - depth.abs()), dim=1) + self.unet(image)


@dataclass(frozen=True)
class Case:
    """A scheme, with a network that puts out what it reads."""

    scheme: InstanceScheme
    network: type[nn.Module]
    classes: int = 1

    @property
    def class_names(self) -> list[str]:
        return [f"class{number}" for number in range(self.classes)]

    @property
    def channels(self) -> int:
        return self.scheme.channels(self.classes)


CASES = {
    "components": Case(ConnectedComponents(), Contextual),
    "classes": Case(ConnectedComponents(minimum_size=3), Contextual, classes=3),
    "watershed": Case(BoundaryWatershed(), Layers),
    "flows": Case(FlowField(flow_error=0.0), Contextual),
}


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """uint8 (Y, X, 3): blobs of a smooth colour, some of them cut by every border and window."""
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smooth = gaussian_filter(noise, (3.0, 3.0, 0.0))
    scaled = (smooth - smooth.min()) / np.ptp(smooth)
    return (255 * scaled).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("name", CASES)
def test_labels_and_probabilities_are_equal(name, size, tmp_path):
    case = CASES[name]
    task = SegmentationTask(
        case.network(case.channels), case.class_names, instances=case.scheme, window=WINDOW
    ).eval()
    record = task.inference_record() | {"preprocessing": describe(DtypeRange())}
    torch.save({"state_dict": task.state_dict(), "segmenter": record}, tmp_path / "a.ckpt")
    pixels = picture(size)
    write_image(tmp_path / "image.png", pixels)

    segmenter = load_segmenter(tmp_path / "a.ckpt", "cpu")
    options = SegmentOptions(progress=False)
    segment_image(segmenter, tmp_path / "image.png", tmp_path / "out", options)
    task.setup("test")
    image = torch.from_numpy(DtypeRange()(np.moveaxis(pixels, -1, 0)))[None]
    instances = torch.from_numpy((pixels[..., 2] > 127).astype(np.int32))[None]
    batch = {"image": image, "mask": instances.long(), "instances": instances}
    labels = read_label_map(tmp_path / "out/image_labels.tif")
    assert labels.max() > 1
    with torch.inference_mode():
        predictions = task.predict_step(batch, 0), task.test_step(batch, 0)
    for prediction in predictions:
        np.testing.assert_array_equal(prediction["labels"], labels)
        as_bytes = (prediction["probability"] * np.float32(255) + 0.5).astype(np.uint8)
        found = read_image(tmp_path / "out/image_probability.tif").array
        np.testing.assert_array_equal(as_bytes, found)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Pictures of every size, all of the test patients, and one for training and validation."""
    folder = tmp_path_factory.mktemp("pictures")
    records = []
    for number, (split, size) in enumerate(
        [("train", (64, 64)), ("val", (70, 80)), *(("test", size) for size in SIZES.values())]
    ):
        pixels = picture(size, number)
        image = folder / split / f"picture{number}.png"
        mask = folder / "masks" / f"picture{number}.png"
        write_image(image, pixels)
        write_label_map(mask, (pixels[..., 2] > 127).astype(np.uint8))
        record = Record(image, mask, "semantic", "colour", f"P{number}", "all", 1.0, split=split)
        records.append(record)
    write_manifest(folder / "manifest.csv", records)
    return folder / "manifest.csv"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["components", "classes", "flows"])
def test_from_the_command_line(name, manifest, tmp_path):
    case = CASES[name]
    arguments = {
        "model": "lotus.tasks.SegmentationTask",
        "model.init_args.network": public_path(case.network),
        "model.init_args.network.init_args.out_channels": case.channels,
        "model.init_args.class_names": str(case.class_names),
        "model.init_args.instances": public_path(type(case.scheme)),
        **{
            f"model.init_args.instances.init_args.{key}": value
            for key, value in describe(case.scheme)["init_args"].items()
        },
        "model.init_args.window": WINDOW,
        "model.init_args.overlap": 0.5,
        "data": "data_modules.SegmentationDataModule",
        "data.init_args.manifest": manifest,
        "data.init_args.modality": "colour",
        "data.init_args.class_names": str(case.class_names),
        "data.init_args.preprocessing": public_path(PercentileRange),
        "data.init_args.patch_size": 32,
        "data.init_args.batch_size": 2,
        "trainer.accelerator": "cpu",
        "trainer.max_epochs": 1,
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        "runs": tmp_path,
        "experiment": "one",
        "run": "path",
    }
    assert main(["fit", *(f"--{key}={value}" for key, value in arguments.items())]) == 0
    run = tmp_path / "one/path"
    assert main(["test", "--config", str(run / "config.yaml")]) == 0
    images = manifest.parent / "test"
    given = [str(images), "--checkpoint", str(run), "--output", str(tmp_path / "out")]
    assert main(["segment", *given, "--device", "cpu"]) == 0
    names = sorted(path.stem for path in images.iterdir())
    assert len(names) == len(SIZES)
    for image in names:
        tested = read_label_map(run / f"predictions/{image}.tif")
        deployed = read_label_map(tmp_path / f"out/{image}_labels.tif")
        np.testing.assert_array_equal(tested, deployed, err_msg=image)
        assert tested.any(), image
