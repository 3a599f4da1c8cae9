"""Folders of numbered slices: in which order they lie, and what is missing."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lotus.imaging.file_names import IMAGE_SUFFIXES, image_stem, images_in
from lotus.imaging.image_files import ImageFileError
from lotus.imaging.raster import read_size

_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
MOST_NAMED = 3


@dataclass(frozen=True)
class SliceSeries:
    """Files whose names differ by one number alone, such as ``scan_0001.tif``.

    Attributes:
        files: In the order of their numbers.
        missing: Names that numbers left out in between would have.
    """

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def slice_files(folder: Path) -> list[Path]:
    """The slices of the volume that a folder holds, in the order of their numbers.

    Args:
        folder: A folder of images, one slice each.

    Raises:
        FileNotFoundError: It holds no image.
    """
    files = images_in(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no image; expected {', '.join(IMAGE_SUFFIXES)}")
    return sorted(files, key=counted)


def series_among(files: Iterable[Path]) -> list[SliceSeries]:
    """Sort files into numbered series; a file without a number is a series of its own.

    Series may count in any step (every tenth slice of a scan): what is missing is missing of the
    step that most neighbours keep.

    Args:
        files: Files of one folder.

    Returns:
        The series, in the order of their first file.
    """
    series: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in sorted(files, key=counted):
        found = _LAST_NUMBER.fullmatch(image_stem(file))
        key = (found[1], found[3], file.suffix) if found else (file.name,)
        series[key].append(file)
    return [SliceSeries(tuple(members), tuple(_missing(members))) for members in series.values()]


def check_series(folder: Path) -> None:
    """Refuse a folder that is no whole volume, from names and headers.

    Args:
        folder: A folder of images, one slice each.

    Raises:
        FileNotFoundError: It holds no image, or a slice is missing in the numbered series.
        ImageFileError: A slice has another size than the first.
    """
    files = slice_files(folder)
    for series in series_among(files):
        if series.missing:
            raise FileNotFoundError(f"{folder}: {missing_line(series)}; add what is missing")
    first = read_size(files[0])
    for file in files[1:]:
        if (size := read_size(file)) != first:
            raise other_size(file, size, files[0], first)


def counted(file: Path) -> tuple[str, int, str]:
    """The key that sorts slice 2 before slice 10.

    Args:
        file: Of a slice.
    """
    found = _LAST_NUMBER.fullmatch(image_stem(file))
    return (found[1], int(found[2]), found[3]) if found else (image_stem(file), -1, "")


def missing_line(series: SliceSeries) -> str:
    """Say in words which slices a series lacks.

    Args:
        series: With something missing.
    """
    named = ", ".join(series.missing[:MOST_NAMED])
    more = len(series.missing) - MOST_NAMED
    first, last = series.files[0].name, series.files[-1].name
    return f"found no {named}{f' and {more} more' if more > 0 else ''} between {first} and {last}"


def other_size(
    file: Path, size: Sequence[int], first: Path, expected: Sequence[int]
) -> ImageFileError:
    """The error for a slice that does not fit the others.

    Args:
        file: The slice.
        size: Its size (Y, X).
        first: First file of the stack.
        expected: Its size (Y, X).
    """
    return ImageFileError(
        f"{file} has {size[0]} x {size[1]} pixels, and {first.name} {expected[0]} x {expected[1]}; "
        "slices of one size are expected in a stack"
    )


def _missing(files: Sequence[Path]) -> list[str]:
    if len(files) < 3:
        return []
    parts = [_LAST_NUMBER.fullmatch(image_stem(file)) for file in files]
    numbers = [int(part[2]) for part in parts if part]
    steps = Counter(later - earlier for earlier, later in pairwise(numbers))
    step = steps.most_common(1)[0][0]
    first = parts[0]
    if first is None or step < 1:
        return []
    present = set(numbers)
    width = len(first[2])
    end = files[0].name[len(first[0]) :]
    return [
        f"{first[1]}{number:0{width}d}{first[3]}{end}"
        for number in range(numbers[0], numbers[-1], step)
        if number not in present
    ]
