"""BonesAI in the layout of the LOTUS authors (Poles et al., MICCAI 2024).

Layout: ``bonesai-histo/<sample>/tissue images/*.tif`` and ``bonesai-microct/...`` with
``<sample>/mask binary/*.png``, where 255 is an osteocyte or a lacuna. A sample folder is one
patient, in both modalities. The data themselves are not public yet; folder names, pairing and
diagnoses follow the released code.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

from data_modules.adapters.overrides import Overrides, require_folder
from data_modules.adapters.staging import finish, staging
from data_modules.manifest import Record
from lotus.imaging.file_names import image_stem, images_in

LAYOUT = (
    "bonesai-histo/<sample>/tissue images/*.tif and bonesai-microct/<sample>/tissue images/*.tif, "
    "each with <sample>/mask binary/*.png"
)
MODALITIES = {"bonesai-histo": "histology", "bonesai-microct": "sr_microct"}
GROUPS = {
    "healthy": ("T1_S26", "FH5_S36"),
    "osteoporotic": ("T4_S31", "T2_S53", "FH2_S77", "FH4_S37"),
    "covid19": ("TC2_S13", "TC3_S7", "TC2_S42"),
}
"""Diagnosis of the samples, as the released code tells them apart."""


def prepare(root: Path, output: Path, overrides: Overrides | None = None) -> Path:
    """Write a manifest of both modalities.

    Files of equal names in different samples (``histo.tif`` everywhere) are linked, or where
    links are not possible copied, to ``output/images`` under ``<sample>_<name>``, because
    predictions are named after their image.

    Args:
        root: Folder with ``bonesai-histo`` and ``bonesai-microct``.
        output: Folder for the manifest.
        overrides: Values that replace those found.

    Returns:
        Path of the manifest.

    Raises:
        FileNotFoundError: If there is no image or a sample has no masks.
        ValueError: If images and masks of a sample cannot be paired.
    """
    root = require_folder(Path(root), LAYOUT)
    records = [
        record
        for folder, modality in MODALITIES.items()
        for sample in sorted((root / folder).glob("*/tissue images"))
        for record in _sample(sample.parent, modality)
    ]
    counts = Counter((record.modality, record.name) for record in records)
    with staging(Path(output)) as staged:
        unique = [
            record
            if counts[(record.modality, record.name)] == 1
            else _renamed(record, staged.folder)
            for record in records
        ]
        return finish({"manifest.csv": unique}, root, staged, overrides or Overrides(), LAYOUT)


def group_of(sample: str) -> str:
    """Diagnosis of a sample by its name; ``unknown`` for names the authors do not list."""
    found = (group for group, names in GROUPS.items() if any(name in sample for name in names))
    return next(found, "unknown")


def _sample(sample: Path, modality: str) -> list[Record]:
    images, masks = images_in(sample / "tissue images"), images_in(sample / "mask binary")
    return [
        Record(image, mask, "binary", modality, sample.name, group_of(sample.name), None)
        for image, mask in _pair(sample, images, masks)
    ]


def _pair(sample: Path, images: list[Path], masks: list[Path]) -> list[tuple[Path, Path]]:
    """Images with their masks: the only two files, or those with the same numbers in the name."""
    if len(images) == len(masks) == 1:
        return [(images[0], masks[0])]
    by_numbers = {_numbers(path): path for path in masks}
    pairs = [
        (image, by_numbers[_numbers(image)]) for image in images if _numbers(image) in by_numbers
    ]
    if len(pairs) != len(images) or len({mask for _, mask in pairs}) != len(masks):
        raise ValueError(
            f"{sample}: cannot pair {len(images)} images with {len(masks)} masks; expected one "
            "mask per image, with the same numbers in both names"
        )
    return pairs


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", image_stem(path)))


def _renamed(record: Record, folder: Path) -> Record:
    """The record with its image under a name that no other sample has."""
    target = folder / "images" / record.modality / f"{record.patient}_{record.image.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(record.image)
    except OSError:  # file systems without links, and accounts without the right to make them
        shutil.copy2(record.image, target)
    return replace(record, image=target)
