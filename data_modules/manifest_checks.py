"""What is wrong with a manifest beyond single cells: between its rows, and with its files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.imaging.shapes import read_shape

if TYPE_CHECKING:
    from data_modules.manifest import Record

Shape = tuple[int, int, int]


def problem_line(number: int, column: str, found: object, expected: str) -> str:
    """One line on one cell: row, column, what was found and what would be right."""
    return f"row {number}, column {column}: found '{found}', expected {expected}"


def relation_problems(numbers: Sequence[int], records: Sequence[Record]) -> Iterator[str]:
    """What is wrong between rows: files, names and patients that must not meet.

    Args:
        numbers: Of the rows in the file.
        records: What is in them.
    """
    rows = list(zip(numbers, records, strict=True))
    yield from _image_problems(rows)
    yield from _mask_problems(rows)
    yield from _split_problems(rows)


def _image_problems(rows: Sequence[tuple[int, Record]]) -> Iterator[str]:
    images: dict[Path, list[tuple[int, Record]]] = defaultdict(list)
    names: dict[tuple[str, str], int] = {}
    for number, record in rows:
        others = images[record.image]
        met = next((row for row, one in others if not record.is_apart_from(one)), None)
        if others and others[0][1].patient != record.patient:
            first, owner = others[0]
            expected = f"one patient per file (row {first} gives it to '{owner.patient}')"
            yield problem_line(number, "patient", record.patient, expected)
        elif met is not None:
            each = "each image once" if record.z_stop is None else "each slice of a volume once"
            yield problem_line(number, "image", record.image, f"{each} (also row {met})")
        elif not others and names.setdefault((record.modality, record.name), number) != number:
            other = names[(record.modality, record.name)]
            expected = f"file names that differ within {record.modality} (row {other})"
            yield problem_line(number, "image", record.name, expected)
        others.append((number, record))


def _mask_problems(rows: Sequence[tuple[int, Record]]) -> Iterator[str]:
    masks: dict[Path, tuple[int, Record]] = {}
    for number, record in rows:
        if record.mask is not None:
            row, other = masks.setdefault(record.mask, (number, record))
            # Two modalities may share the annotation of the field that both show.
            if other.field != record.field:
                expected = f"a mask of its own (row {row} has this one)"
                yield problem_line(number, "mask", record.mask, expected)


def _split_problems(rows: Sequence[tuple[int, Record]]) -> Iterator[str]:
    """Patients in two splits, unless these are different slices of one volume."""
    splits: dict[str, dict[str, tuple[int, Record]]] = defaultdict(dict)
    for number, record in rows:
        if record.split is None:
            continue
        own = splits[record.patient]
        own.setdefault(record.split, (number, record))
        for split, (row, other) in own.items():
            if split != record.split and not record.is_apart_from(other):
                expected = f"{split} as in row {row}: patient '{record.patient}' is one unit"
                yield problem_line(number, "split", record.split, expected)
                break


@dataclass(frozen=True)
class RowFiles:
    """What the headers of a row's files say.

    Attributes:
        number: Of the row.
        record: What is in it, with the depth of a volume.
        shapes: (Z, Y, X) of each file that can be read, by its column.
        problems: One line for each that cannot.
    """

    number: int
    record: Record
    shapes: dict[str, Shape]
    problems: tuple[str, ...]


def files_of(number: int, record: Record) -> RowFiles:
    """Look at the headers of a row's files.

    Args:
        number: Of the row.
        record: What is in it.
    """
    shapes: dict[str, Shape] = {}
    problems = []
    files = {"image": record.image, "mask": record.mask, "tissue": record.tissue}
    for column, file in files.items():
        if file is None:
            continue
        if not file.exists():
            problems.append(problem_line(number, column, file, "an existing file"))
            continue
        try:
            shapes[column] = read_shape(file)
        except (ValueError, OSError) as error:
            problems.append(f"row {number}, column {column}: {error}")
    if record.origin is not None and not record.origin.is_file():
        problems.append(problem_line(number, "origin", record.origin, "an existing file"))
    depth = shapes["image"][0] if "image" in shapes else 1
    return RowFiles(
        number, replace(record, depth=depth if depth > 1 else None), shapes, tuple(problems)
    )


def file_problems(rows: Sequence[RowFiles]) -> Iterator[str]:
    """What is wrong with the files themselves, from their headers.

    Args:
        rows: Of :func:`files_of`.
    """
    for row in rows:
        yield from row.problems
        if "image" in row.shapes:
            yield from _shape_problems(row)
    yield from _copied_files([row for row in rows if "image" in row.shapes])


def _shape_problems(row: RowFiles) -> Iterator[str]:
    """Masks of another size than their image, and slices that there are not."""
    record, image = row.record, row.shapes["image"]
    stop = image[0] if record.z_stop is None else record.z_stop
    for column in ("z_start", "z_stop"):
        found = getattr(record, column)
        if found is not None and found > image[0] - (column == "z_start"):
            expected = f"a slice of the {image[0]} in {record.image.name}"
            yield problem_line(row.number, column, found, expected)
            return
    # A mask may hold the slices of its row alone.
    depths = (image[0], stop - (record.z_start or 0))
    for column, shape in row.shapes.items():
        if shape[1:] != image[1:] or shape[0] not in depths:
            found = f"{_size(shape)} in {getattr(record, column)}"
            name = f"the volume {record.image.name}" if image[0] > 1 else "its image"
            expected = f"{_size(image)} as {name}"
            if depths[1] != image[0]:
                expected += f", or {_size((depths[1], *image[1:]))} as its row"
            yield problem_line(row.number, column, found, expected)


def _size(shape: Shape) -> str:
    """``Z x Y x X``, of an image ``Y x X``."""
    return " x ".join(map(str, shape[shape[0] == 1 :]))


def _copied_files(rows: Sequence[RowFiles]) -> Iterator[str]:
    """Images of two patients with the same bytes: one of the two names must be wrong."""
    by_size: dict[int, list[RowFiles]] = defaultdict(list)
    for row in rows:
        # Folders are volumes; to read all of their files would take too long.
        if row.record.image.is_file():
            by_size[row.record.image.stat().st_size].append(row)
    for candidates in by_size.values():
        if len({row.record.patient for row in candidates}) < 2:
            continue
        first: dict[str, RowFiles] = {}
        for row in candidates:
            with row.record.image.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            other = first.setdefault(digest, row)
            same_patient = other.record.patient == row.record.patient
            if not same_patient and other.record.image != row.record.image:
                patient = other.record.patient
                expected = f"one patient per image (same bytes as row {other.number}, '{patient}')"
                yield problem_line(row.number, "patient", row.record.patient, expected)
