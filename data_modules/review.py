"""The review list: what a person says of each patch of a pseudo-label.

Columns: ``name, y, x, size, confidence, decision, file``. A patch is found by the name of its
image, its first pixel and its side; paths are relative to the list's folder.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from data_modules.manifest_table import read_table

COLUMNS = ("name", "y", "x", "size", "confidence", "decision", "file")
NEEDED = ("name", "y", "x", "size", "decision")
Decision = Literal["accept", "reject", "corrected"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


class Place(NamedTuple):
    """Where a patch is.

    Attributes:
        name: Name of its image.
        y: First row in pixels.
        x: First column in pixels.
        size: Side in pixels.
    """

    name: str
    y: int
    x: int
    size: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Its pixels (Y, X)."""
        return slice(self.y, self.y + self.size), slice(self.x, self.x + self.size)


@dataclass(frozen=True)
class Verdict:
    """What is said of a patch.

    Attributes:
        decision: ``accept`` takes what the network drew, ``reject`` says that nothing is known
            there, ``corrected`` that a file says it.
        file: Absolute path of that file.
    """

    decision: Decision = "accept"
    file: Path | None = None


def read_review(path: Path, places: Collection[Place]) -> dict[Place, Verdict]:
    """Read a review list.

    Args:
        path: The CSV file. Patches that it does not name are left open.
        places: All patches there are.

    Returns:
        What it says of which patch.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: A column is missing, or a row names a patch that does not exist, or one twice,
            or says something else than the three decisions, or lacks the file it needs.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no review list here; `lotus pseudo-label` writes one")
    try:
        table = read_table(path, COLUMNS)
        if missing := [name for name in NEEDED if name not in table.header]:
            found = ", ".join(table.header) or "an empty file"
            raise ValueError(f"row 1: found {found}; expected also {', '.join(missing)}")
        known = set(places)
        verdicts: dict[Place, Verdict] = {}
        for number, row in table.rows:
            place = _place(number, row)
            _check_place(number, place, known)
            if place in verdicts:
                raise ValueError(f"row {number}: {_said(place)} stands here twice; expected once")
            verdicts[place] = _verdict(number, row, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return verdicts


def review_text(rows: Iterable[tuple[Place, float, Verdict]], folder: Path) -> str:
    """A review list as text.

    Args:
        rows: Patches, how sure the network is of each (NaN where that is undefined), and what is
            said of it.
        folder: Where the list is going to lie.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, confidence, verdict in rows:
        file = (
            "" if verdict.file is None else Path(os.path.relpath(verdict.file, folder)).as_posix()
        )
        sure = "" if confidence != confidence else f"{confidence:.6f}"
        writer.writerow([*place, sure, verdict.decision, file])
    return stream.getvalue()


def _place(number: int, row: Mapping[str, str]) -> Place:
    numbers = []
    for column in ("y", "x", "size"):
        text = row[column]
        if not text.isascii() or not text.isdigit():
            raise ValueError(
                f"row {number}, column {column}: found '{text}', expected a whole number of pixels"
            )
        numbers.append(int(text))
    return Place(row["name"], *numbers)


def _check_place(number: int, place: Place, places: Collection[Place]) -> None:
    if place in places:
        return
    own = [other for other in places if other.name == place.name]
    if not own:
        names = sorted({other.name for other in places})
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ValueError(
            f"row {number}: no slice '{place.name}' is pseudo-labelled; there are "
            f"{', '.join(names[:3])}{more}"
        )
    nearest = min(own, key=lambda o: (abs(o.y - place.y) + abs(o.x - place.x), o))
    raise ValueError(f"row {number}: there is no {_said(place)}; the nearest is {_said(nearest)}")


def _verdict(number: int, row: Mapping[str, str], folder: Path) -> Verdict:
    decision, name = row["decision"].casefold(), row.get("file", "")
    if decision not in DECISIONS:
        raise ValueError(
            f"row {number}, column decision: found '{row['decision']}', expected one of "
            f"{', '.join(DECISIONS)}"
        )
    if (decision == "corrected") != bool(name):
        expected = "a file" if decision == "corrected" else "none (or the decision corrected)"
        raise ValueError(
            f"row {number}, column file: found '{name}' beside {decision}, expected {expected}"
        )
    if not name:
        return Verdict(decision)
    file = (folder / name).absolute()
    if not file.is_file():
        raise ValueError(f"row {number}, column file: found '{name}', expected an existing file")
    return Verdict("corrected", file)


def _said(place: Place) -> str:
    return f"patch of {place.size} px at y={place.y}, x={place.x} in slice '{place.name}'"
