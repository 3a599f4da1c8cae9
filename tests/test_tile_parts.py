"""The tiles of each domain by the shipped parts of configurations, from training to scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_modules.manifest import Record, write_manifest
from lotus.cli import main
from lotus.imaging import write_image, write_label_map
from tests.conftest import TINY

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
CLASSES = {"fluorescence": 3, "trichrome": 2}
TOP = """
experiment: tiles
parts: {{data: {part}}}
model:
  class_path: lotus.tasks.SegmentationTask
  init_args:
    class_names: {class_names}
    network:
      class_path: lotus.networks.UNet
      init_args: {{filters: [4, 8], out_channels: {channels}}}
data:
  init_args:
    manifest: {manifest}
    region: 64
    batch_size: 2
    samples_per_epoch: 4
    training_share: 0.5
    split_fractions: [0.6, 0.2, 0.2]
"""


@pytest.fixture
def manifest(tmp_path):
    """A ROI of 64 x 80 px of five patients in both domains, with stripes of every class."""
    records = []
    for modality, classes in CLASSES.items():
        colours = np.random.default_rng(1).integers(60, 200, (classes + 1, 3))
        colours[0] = 255 if modality == "trichrome" else 0
        for patient in range(5):
            mask = np.zeros((64, 80), np.uint8)
            for number in range(1, classes + 1):
                mask[:, 16 * number : 16 * number + 8 + patient] = number
            noise = np.random.default_rng(patient).integers(-9, 9, (64, 80, 3))
            name = f"p{patient}_{modality}"
            write_image(tmp_path / f"{name}.tif", (colours[mask] + noise).clip(0, 255).astype("u1"))
            write_label_map(tmp_path / f"{name}.png", mask)
            files = (tmp_path / f"{name}.tif", tmp_path / f"{name}.png")
            records.append(Record(*files, "semantic", modality, f"p{patient}", "unknown", 0.65))
    write_manifest(tmp_path / "manifest.csv", records)
    return tmp_path / "manifest.csv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "class_names"),
    [
        ("data/fluorescence.yaml", "[mineralised, osteoid, label]"),
        ("data/trichrome.yaml", "[mineralised, osteoid]"),
    ],
)
def test_tiles_train_and_whole_rois_are_tested(manifest, tmp_path, part, class_names):
    part = EXPERIMENTS / part
    channels = CLASSES[part.stem] + 1
    config = tmp_path / "tiles.yaml"
    config.write_text(
        TOP.format(part=part, class_names=class_names, channels=channels, manifest=manifest)
    )
    runs = ["--runs", str(tmp_path / "runs"), "--run", "tiny"]
    assert main(["fit", "--config", str(config), *runs, *TINY]) == 0
    folder = tmp_path / "runs/tiles/tiny"
    assert main(["test", "--config", str(folder / "config.yaml")]) == 0
    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == 2
    assert scores["name"].iloc[0].endswith(part.stem)
