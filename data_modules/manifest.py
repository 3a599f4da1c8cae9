"""The manifest: one CSV row per image, validated as a whole before anything is trained.

Columns: ``image, mask, mask_kind, modality, patient, group, pixel_size_um`` and, where known,
``slice_spacing_um``, ``mask_values``, ``split``, ``origin``, ``tissue``, ``z_start`` and
``z_stop``. Paths are relative to the manifest's folder.

An image may be a volume: a multi-page TIFF, an OME-Zarr or a folder of slices. Then a row speaks of
the slices ``z_start`` to ``z_stop``, the last one excluded, of all of them where nothing is said,
and a volume may have several such rows.
"""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from data_modules.manifest_checks import (
    file_problems,
    files_of,
    problem_line,
    relation_problems,
)
from data_modules.manifest_table import SEPARATORS, Table, read_table, with_decimal_point
from data_modules.patients import identity, one_name_each
from lotus.atomic import atomic_path
from lotus.imaging.file_names import image_stem
from lotus.masks import USUAL_VALUES, MaskKind, MaskValues

COLUMNS = ("image", "mask", "mask_kind", "modality", "patient", "group", "pixel_size_um")
OPTIONAL_COLUMNS = (
    *("slice_spacing_um", "mask_values", "split", "origin", "tissue"),
    *("z_start", "z_stop"),
)
LENGTHS = ("pixel_size_um", "slice_spacing_um")
SLICES = ("z_start", "z_stop")
WORDS = ("mask_kind", "split")
Split = Literal["train", "val", "test"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
SPLIT_NAMES: tuple[Split, ...] = get_args(Split)
MANUAL = "manual"
"""The origin of a mask that a person drew; so is an empty one."""
ORIGIN_SUFFIXES = (".ckpt", ".json")


MOST_LINES = 20
"""Problems of one manifest that are listed."""


class ManifestError(ValueError):
    """Everything that is wrong with one manifest, one line per cause.

    Args:
        path: The manifest.
        problems: One line each: row, column, value found and value expected.
    """

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        lines = _causes(self.problems)
        if len(lines) == 1:
            message = f"{path}: {lines[0]}"
        else:
            left = len(lines) - MOST_LINES
            shown = [*lines[:MOST_LINES], *([f"and {left} more"] if left > 0 else [])]
            message = "\n  ".join([f"{path}: {len(self.problems)} problems", *shown])
        super().__init__(message)


def _causes(problems: Sequence[str]) -> list[str]:
    """The first problem of each cause, and how many more rows of the column have it."""
    causes: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        column = problem.partition(", column ")[2].partition(":")[0]
        causes.setdefault((column, problem.rpartition(", expected ")[2]), []).append(problem)
    return [
        same[0] + (f" (and {len(same) - 1} more like it)" if same[1:] else "")
        for same in causes.values()
    ]


@dataclass(frozen=True)
class Record:
    """One image of the manifest.

    Attributes:
        image: Absolute path of the image.
        mask: Absolute path of its mask; None where there is no annotation.
        mask_kind: ``instances`` (label map), ``semantic`` (class indices) or ``binary``.
        modality: For example ``histology`` or ``sr_microct``.
        patient: Patient or specimen; the unit that is never shared by two splits.
        group: Clinical group such as the diagnosis; ``unknown`` where there is none.
        pixel_size_um: Edge of a pixel in µm; None where unknown.
        slice_spacing_um: Distance of neighbouring slices in µm; None where it does not apply.
        split: ``train``, ``val`` or ``test`` where the data set prescribes it.
        origin: Absolute path of the file that says whom the model behind the mask knows: its
            checkpoint, or the record in a checkpoint as JSON (see
            :mod:`lotus.training.known_patients`). None where the mask was drawn by hand.
        mask_values: What the values of the mask's file stand for, and which are ignored.
        tissue: Absolute path of a mask of the tissue that the image shows, such as bone, where
            it is not 0; None where nobody looked for it.
        z_start: First slice that the row speaks of; None for that of the volume.
        z_stop: The slice after the last; None for the end of the volume.
        depth: Slices of the volume; None of a 2-D image, and where no file was looked at.
    """

    image: Path
    mask: Path | None
    mask_kind: MaskKind
    modality: str
    patient: str
    group: str
    pixel_size_um: float | None
    slice_spacing_um: float | None = None
    split: Split | None = None
    origin: Path | None = None
    mask_values: MaskValues = USUAL_VALUES
    tissue: Path | None = None
    z_start: int | None = None
    z_stop: int | None = None
    depth: int | None = None

    @property
    def name(self) -> str:
        """File name of the image without its suffix (``a`` for ``a.png`` and ``a.ome.tif``)."""
        return image_stem(self.image)

    @property
    def field(self) -> tuple[str, str]:
        """Patient and name: images of several modalities that share them show the same field."""
        return identity(self.patient), self.name

    def is_apart_from(self, other: Record) -> bool:
        """Whether this and another row speak of different slices of one volume."""
        ends = [math.inf if row.z_stop is None else row.z_stop for row in (self, other)]
        starts = [row.z_start or 0 for row in (self, other)]
        return self.image == other.image and (ends[0] <= starts[1] or ends[1] <= starts[0])


def read_manifest(path: Path, check_files: bool = True) -> list[Record]:
    """Read and validate a manifest.

    Args:
        path: The CSV file.
        check_files: Also open the header of every file: does it exist, has the mask the size of
            its image, is one image listed under two patients.

    Returns:
        The records in the order of the rows, with absolute paths.

    Raises:
        FileNotFoundError: There is no such manifest.
        ManifestError: With every problem of the file at once.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no manifest here; `lotus prepare` and `lotus phantom` write one"
        )
    problems: list[str] = []
    records: list[Record] = []
    numbers: list[int] = []
    for number, row in _read_rows(path):
        found = list(_row_problems(number, row))
        problems += found
        if not found:
            records.append(_to_record(row, path.parent))
            numbers.append(number)
    records = joined(records)
    problems += relation_problems(numbers, records)
    if check_files:
        found_files = [files_of(*row) for row in zip(numbers, records, strict=True)]
        records = [files.record for files in found_files]
        problems += file_problems(found_files)
    if problems:
        raise ManifestError(path, problems)
    return records


def one_name_per_person(records: Iterable[Record]) -> list[Record]:
    """The same records, in which every person goes by one of the names that they have there.

    Args:
        records: Of one manifest, or of several whose patients are split together.
    """
    given = list(records)
    names = one_name_each(record.patient for record in given)
    return [
        record
        if names[record.patient] == record.patient
        else replace(record, patient=names[record.patient])
        for record in given
    ]


def joined(records: Sequence[Record]) -> list[Record]:
    """:func:`one_name_per_person`, with a warning that names those who were taken for one."""
    changed = one_name_per_person(records)
    others = {
        f"'{old.patient}' as '{new.patient}'"
        for old, new in zip(records, changed, strict=True)
        if old.patient != new.patient
    }
    if others:
        first = ", ".join(sorted(others)[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        warnings.warn(
            "patients whose names differ in capitals, blanks or Unicode form alone are taken for "
            f"one person: {first}{more}; give them other names if they are not",
            stacklevel=2,
        )
    return changed


def write_manifest(path: Path, records: Iterable[Record]) -> None:
    """Write records as a manifest with paths relative to its folder.

    Args:
        path: The CSV file; its folder is created where needed.
        records: The rows.
    """
    path = Path(path)
    folder = path.parent.resolve()
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS + OPTIONAL_COLUMNS)
        for record in records:
            writer.writerow(_to_row(record, folder))


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """All rows with their numbers, as the columns are named here; the header must be complete."""
    try:
        table = read_table(path, COLUMNS + OPTIONAL_COLUMNS)
    except ValueError as error:
        raise ManifestError(path, [str(error)]) from error
    missing = [name for name in COLUMNS if name not in table.header]
    if missing:
        found = ", ".join(table.header) or "an empty file"
        if table.separator != ",":
            found += f", separated by {SEPARATORS.get(table.separator, repr(table.separator))}"
        raise ManifestError(
            path, [f"row 1, column {name}: missing; found {found}" for name in missing]
        )
    if not table.rows:
        raise ManifestError(path, ["found a header alone, expected at least one row"])
    return [(number, _normalised(row, table)) for number, row in table.rows]


def _normalised(row: Mapping[str, str], table: Table) -> dict[str, str]:
    """A row with numbers and words as they are written here, whatever the spreadsheet's habits."""
    numbers = {
        name: with_decimal_point(row[name], table.separator) for name in LENGTHS if name in row
    }
    words = {name: row[name].casefold() for name in WORDS if name in row}
    return {**row, **numbers, **words}


def _row_problems(number: int, row: Mapping[str, str]) -> Iterator[str]:
    """What is wrong within one row."""
    for name in ("image", "modality", "patient", "group"):
        if not row[name]:
            hint = " ('unknown' where there is none)" if name == "group" else ""
            yield f"row {number}, column {name}: found nothing, expected a value{hint}"
    if row["mask_kind"] not in MASK_KINDS:
        yield problem_line(number, "mask_kind", row["mask_kind"], f"one of {', '.join(MASK_KINDS)}")
    for name in LENGTHS:
        if not _is_length(row.get(name, "")):
            point = ", with a decimal point" if "," in row[name] else ""
            yield problem_line(
                number, name, row[name], f"a positive number of µm{point}, or nothing"
            )
    yield from _slice_problems(number, row)
    if row.get("split", "") not in ("", *SPLIT_NAMES):
        expected = f"one of {', '.join(SPLIT_NAMES)}, or nothing"
        yield problem_line(number, "split", row["split"], expected)
    origin = row.get("origin", "")
    if origin not in ("", MANUAL) and Path(origin).suffix not in ORIGIN_SUFFIXES:
        expected = f"a file ({', '.join(ORIGIN_SUFFIXES)}), {MANUAL}, or nothing"
        yield problem_line(number, "origin", origin, expected)
    try:
        values = MaskValues.parse(row.get("mask_values", ""))
        if row["mask_kind"] in MASK_KINDS:
            values.check_kind(row["mask_kind"])
    except ValueError as error:
        yield f"row {number}, column mask_values: {error}"


def _slice_problems(number: int, row: Mapping[str, str]) -> Iterator[str]:
    given = [row.get(name, "") for name in SLICES]
    for name, text in zip(SLICES, given, strict=True):
        if text and not (text.isascii() and text.isdigit()):
            yield problem_line(number, name, text, "the number of a slice, from 0, or nothing")
            return
    if given[1] and int(given[1]) <= int(given[0] or 0):
        yield problem_line(number, "z_stop", given[1], f"more than z_start, {given[0] or 0}")


def _is_length(text: str) -> bool:
    try:
        return not text or ("_" not in text and 0.0 < float(text) < math.inf)
    except ValueError:
        return False


def _to_record(row: Mapping[str, str], folder: Path) -> Record:
    """The record of a row without problems."""
    origin = row.get("origin", "")
    return Record(
        image=_file(folder, row["image"]),
        mask=_file(folder, row["mask"]) if row["mask"] else None,
        mask_kind=cast("MaskKind", row["mask_kind"]),
        modality=row["modality"],
        patient=row["patient"],
        group=row["group"],
        pixel_size_um=_to_length(row["pixel_size_um"]),
        slice_spacing_um=_to_length(row.get("slice_spacing_um", "")),
        split=cast("Split | None", row.get("split") or None),
        origin=None if origin in ("", MANUAL) else _file(folder, origin),
        mask_values=MaskValues.parse(row.get("mask_values", "")),
        tissue=_file(folder, row["tissue"]) if row.get("tissue") else None,
        z_start=_to_slice(row.get("z_start", "")),
        z_stop=_to_slice(row.get("z_stop", "")),
    )


def _to_length(text: str) -> float | None:
    return float(text) if text else None


def _to_slice(text: str) -> int | None:
    return int(text) if text else None


def _to_row(record: Record, folder: Path) -> list[str]:
    mask = "" if record.mask is None else _relative(record.mask, folder)
    lengths = [
        "" if length is None else repr(float(length))
        for length in (record.pixel_size_um, record.slice_spacing_um)
    ]
    return [
        _relative(record.image, folder),
        mask,
        record.mask_kind,
        record.modality,
        record.patient,
        record.group,
        lengths[0],
        lengths[1],
        str(record.mask_values),
        record.split or "",
        "" if record.origin is None else _relative(record.origin, folder),
        "" if record.tissue is None else _relative(record.tissue, folder),
        *("" if number is None else str(number) for number in (record.z_start, record.z_stop)),
    ]


def _file(folder: Path, text: str) -> Path:
    """A file that a row names, perhaps as Windows does."""
    file = folder / text
    if "\\" in text and not file.exists():
        file = folder / text.replace("\\", "/")
    return _absolute(file)


def _absolute(file: Path) -> Path:
    """Absolute path that keeps the file's own name even where it is a link."""
    return file.parent.resolve() / file.name


def _relative(file: Path, folder: Path) -> str:
    """Path of a file as seen from a folder, with forward slashes on every system."""
    # Path.relative_to(walk_up=True) needs Python 3.12.
    return Path(os.path.relpath(_absolute(Path(file)), folder)).as_posix()
