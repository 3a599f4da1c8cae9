"""A manifest of raw SR-microCT slices enhanced to one whose images hold bone alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data_modules.manifest import Record, write_manifest
from lotus.imaging.slice_series import counted
from lotus.transforms.enhance_plan import (
    BONE,
    EnhancementPlan,
    SliceFile,
    plan_folder,
    refuse_overwriting,
)

IMAGES = "images"
MANIFEST = "manifest.csv"


def plan_manifest(path: Path, records: Sequence[Record], output: Path) -> EnhancementPlan:
    """Plan to enhance the images of a manifest.

    Args:
        path: The manifest.
        records: Its rows.
        output: Folder for the enhanced images, the bone masks, and the manifest of both.

    Raises:
        ValueError: Two images would get the same name, or an input be overwritten.
    """
    if path.resolve() == (output / MANIFEST).resolve():
        raise ValueError(f"{path} would be written over; give another --output")
    files = [
        SliceFile(
            record.image,
            output / IMAGES / f"{record.name}.tif",
            output / BONE / f"{record.name}.tif",
            stack=f"{record.modality}, {record.patient}",
            pixel_size_um=record.pixel_size_um,
            slice_spacing_um=record.slice_spacing_um,
        )
        # Slices of a patient are neighbours, whatever the order of the rows.
        for record in sorted(records, key=lambda each: (each.patient, counted(each.image)))
    ]
    refuse_overwriting(files)
    return plan_folder(files, output)


def write_enhanced_manifest(records: Sequence[Record], output: Path) -> Path:
    """Write the manifest of the enhanced images; all else in a row stays as it is.

    Args:
        records: Rows of the raw images.
        output: Folder of :func:`plan_manifest`.

    Returns:
        The manifest.
    """
    folder = output.resolve()
    manifest = folder / MANIFEST
    write_manifest(
        manifest,
        [
            replace(
                record,
                image=folder / IMAGES / f"{record.name}.tif",
                tissue=folder / BONE / f"{record.name}.tif",
            )
            for record in records
        ],
    )
    return manifest
