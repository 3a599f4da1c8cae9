"""Which files an enhancement reads and writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lotus.imaging.file_names import (
    IMAGE_SUFFIXES,
    TIFF_SUFFIXES,
    ZARR_SUFFIX,
    image_stem,
    is_zarr,
    last_changes,
)
from lotus.imaging.ome_zarr import LABELS
from lotus.imaging.slice_series import check_series, missing_line, series_among, slice_files
from lotus.transforms.enhancement import SRMicroCTEnhancement

BONE = "bone"
"""The folder or label map of the bone masks, and what is added to the name of a file of one."""
TABLE = "slices.csv"
REPORT = "suspects.html"
LARGEST_GAP = 0.5
"""Of a series' numbers; where more are missing, its files are a selection."""


@dataclass(frozen=True)
class SliceFile:
    """An image or volume, and what is written of it.

    Attributes:
        source: File, OME-Zarr or folder of slices.
        image: The enhanced one to write.
        bone: The mask to write.
        stack: What it shares with its neighbours, if they are slices of one volume.
        is_part: Whether it is a slice of a volume, which may begin and end with empty ones.
        pixel_size_um: Where the file states none; None where unknown.
        slice_spacing_um: Likewise.
    """

    source: Path
    image: Path
    bone: Path
    stack: str
    is_part: bool = False
    pixel_size_um: float | None = None
    slice_spacing_um: float | None = None

    @property
    def key(self) -> str:
        """What tells it from others, and from itself once its source has changed."""
        changes = [*last_changes(self.source), self.pixel_size_um, self.slice_spacing_um]
        text = json.dumps([str(self.source), str(self.image), str(self.bone), changes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class EnhancementPlan:
    """What is read and written.

    Attributes:
        files: Images and volumes; those of a stack in its order.
        output: File or folder that was asked for.
        hidden: Folder of what is not finished.
        table: CSV file with a row per slice.
        report: HTML file with the slices that look wrong.
        remarks: What the user should know.
    """

    files: tuple[SliceFile, ...]
    output: Path
    hidden: Path
    table: Path
    report: Path
    remarks: tuple[str, ...] = ()


def settings_of(enhancement: SRMicroCTEnhancement) -> str:
    """What decides about the result, the files apart, as text.

    Args:
        enhancement: What is done to a slice.
    """
    return json.dumps({**vars(enhancement), "version": version("lotus-bone")}, indent=1)


def plan_files(source: Path, output: Path, mask: Path | None = None) -> EnhancementPlan:
    """Plan to enhance a file, or the files of a folder.

    Args:
        source: Image, multi-page TIFF, OME-Zarr, or a folder of images.
        output: A name ending in .tif or .zarr for one volume, which the slices of a folder become
            too; any other is a folder with a TIFF for each file.
        mask: Likewise for the bone masks; None for a place beside the output: ``NAME_bone.tif``,
            the label map ``bone`` inside an OME-Zarr, or the folder ``bone``.

    Raises:
        FileNotFoundError: The source is not there, a folder without images, or a slice is missing.
        ValueError: Slices of one volume have several sizes, or something would be overwritten.
    """
    suffix = output.suffix.lower()
    if suffix in (*TIFF_SUFFIXES, ZARR_SUFFIX):
        if source.is_dir() and not is_zarr(source):
            check_series(source)
        plan = _beside(source, output, mask or _bone_beside(output))
    elif suffix in IMAGE_SUFFIXES:
        raise ValueError(f"{output} is no TIFF name; expected one ending in .tif or .ome.zarr")
    elif is_zarr(source) or not source.is_dir():
        target = output / f"{image_stem(source)}.tif"
        files = [SliceFile(source, target, (mask or output / BONE) / target.name, str(source))]
        plan = plan_folder(files, output)
    else:
        plan = _plan_each(source, output, mask or output / BONE)
    refuse_overwriting(plan.files)
    return plan


def plan_folder(
    files: Sequence[SliceFile], output: Path, remarks: Iterable[str] = ()
) -> EnhancementPlan:
    """A plan whose files all lie in one folder.

    Args:
        files: What is written there.
        output: The folder.
        remarks: What the user should know.
    """
    hidden = output / ".enhancing"
    table, report = output / TABLE, output / REPORT
    return EnhancementPlan(tuple(files), output, hidden, table, report, tuple(remarks))


def refuse_overwriting(files: Sequence[SliceFile]) -> None:
    """Refuse files that would be written over an input or over each other.

    Raises:
        ValueError: Names the first.
    """
    taken = {file.source.resolve() for file in files}
    for target in [*(file.image for file in files), *(file.bone for file in files)]:
        if target.resolve() in taken:
            raise ValueError(
                f"{target} is an input or is written twice; give --output and --mask other places"
            )
        taken.add(target.resolve())


def _beside(source: Path, output: Path, mask: Path) -> EnhancementPlan:
    """A plan of one volume; what belongs to it lies beside it."""
    stem = image_stem(output)
    return EnhancementPlan(
        (SliceFile(source, output, mask, stack=str(source)),),
        output,
        output.with_name(f".{output.name}.enhancing"),
        output.with_name(f"{stem}_{TABLE}"),
        output.with_name(f"{stem}_{REPORT}"),
    )


def _bone_beside(output: Path) -> Path:
    if output.suffix.lower() == ZARR_SUFFIX:
        return output / LABELS / BONE
    return output.with_name(f"{image_stem(output)}_{BONE}.tif")


def _plan_each(source: Path, output: Path, masks: Path) -> EnhancementPlan:
    """A file of its own for each file of a folder."""
    targets: dict[str, Path] = {}
    files, remarks = [], []
    for series in series_among(slice_files(source)):
        numbers = len(series.files) + len(series.missing)
        if 0 < len(series.missing) < LARGEST_GAP * numbers:
            remarks.append(f"{source}: {missing_line(series)}")
        for file in series.files:
            is_tiff_name = file.suffix.lower() in TIFF_SUFFIXES
            name = file.name if is_tiff_name else f"{file.stem}.tif"
            if name in targets:
                raise ValueError(
                    f"{targets[name].name} and {file.name} would both become {name}; rename one of "
                    "them"
                )
            targets[name] = file
            is_part = len(series.files) > 1
            stack = str(series.files[0]) if is_part else str(file)
            files.append(SliceFile(file, output / name, masks / name, stack, is_part))
    return plan_folder(files, output, remarks)
