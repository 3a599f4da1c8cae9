"""Tiny images and manifests drawn for the tests of data modules."""

from pathlib import Path

import numpy as np
import pytest

from data_modules.manifest import Record, write_manifest
from lotus.imaging.raster import write_image, write_label_map


def _draw_record(folder: Path, number: int, size, channels, row) -> Record:
    """One noise image with two squares, numbered 1 and 2, in its label map."""
    shape = size if channels == 1 else (*size, channels)
    pixels = np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8)
    labels = np.zeros(size, np.uint8)
    top = 2 + number % 5
    labels[top : top + 4, 2:6] = 1
    labels[top : top + 5, 9:14] = 2
    image, mask = folder / f"images/i{number:03d}.png", folder / f"masks/i{number:03d}.tif"
    write_image(image, pixels)
    write_label_map(mask, labels)
    values = {"mask": mask, "mask_kind": "instances", "modality": "microct", "group": "healthy"}
    return Record(image=image, **({"pixel_size_um": 0.5} | values | row))


@pytest.fixture
def draw_dataset(tmp_path):
    """Function that draws one image per row (values of a Record) and writes the manifest."""

    def draw(rows, size=(20, 24), channels=1, name="data", first=0) -> Path:
        folder = tmp_path / name
        records = [
            _draw_record(folder, number, size, channels, row)
            for number, row in enumerate(rows, start=first)
        ]
        write_manifest(folder / "manifest.csv", records)
        return folder / "manifest.csv"

    return draw
