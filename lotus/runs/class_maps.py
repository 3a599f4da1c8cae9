"""The table beside the class maps that a network made: what their values mean, and how sure it was.

A row per image, with the columns ``image, labels, domain, classes, certainty, uncertain_tiles,
tiles, uncertain``. Files are relative to the table's folder where they lie beneath it; classes are
written as ``mineralised=1 osteoid=2``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.atomic import atomic_path

if TYPE_CHECKING:
    from lotus.batch import RoiPrediction

CLASS_MAPS = "class_maps.csv"


@dataclass(frozen=True)
class ClassMap:
    """The class map of one image.

    Attributes:
        image: The file that was segmented.
        labels: The file of the map.
        domain: Whose head segmented it, such as ``trichrome``.
        classes: Names of classes to the values of the map.
        certainty: Of the domain, from 0 to 1.
        uncertain_tiles: Tiles that the router was not sure of.
        tiles: All tiles.
        uncertain: Whether the domain of the image as a whole is uncertain.
    """

    image: Path
    labels: Path
    domain: str
    classes: Mapping[str, int]
    certainty: float
    uncertain_tiles: int
    tiles: int
    uncertain: bool

    @classmethod
    def of(
        cls, found: RoiPrediction, class_names: Sequence[str], *, image: Path, labels: Path
    ) -> ClassMap:
        """That of a prediction.

        Args:
            found: What a network said of the image.
            class_names: Foreground classes of its domain, in the order of their values from 1.
            image: The file that was segmented.
            labels: The file of the map.
        """
        return cls(
            image=image,
            labels=labels,
            domain=found["domain"],
            classes={name: value for value, name in enumerate(class_names, start=1)},
            certainty=found["certainty"],
            uncertain_tiles=found["uncertain_tiles"],
            tiles=found["tiles"],
            uncertain=found["uncertain"],
        )


def write_class_maps(folder: Path, maps: Iterable[ClassMap]) -> Path:
    """Write the table of a folder.

    Args:
        folder: Of the class maps.
        maps: In the order of the rows.

    Returns:
        The table's file.
    """
    path = folder / CLASS_MAPS
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow([each.name for each in fields(ClassMap)])
        for each in maps:
            classes = " ".join(f"{name}={value}" for name, value in each.classes.items())
            files = [_relative(each.image, folder), _relative(each.labels, folder)]
            sure = [f"{each.certainty:.6g}", each.uncertain_tiles, each.tiles, int(each.uncertain)]
            writer.writerow([*files, each.domain, classes, *sure])
    return path


def read_class_maps(folder: Path) -> list[ClassMap]:
    """Read the table of a folder.

    Args:
        folder: Of the class maps.

    Raises:
        FileNotFoundError: It has no such table.
        ValueError: A column or a value is not what it should be.
    """
    path = folder / CLASS_MAPS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {CLASS_MAPS}; it is no folder of `lotus segment`")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        missing = {each.name for each in fields(ClassMap)} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(
                f"{path} has no column {sorted(missing)[0]}; `lotus segment` writes it"
            )
        try:
            return [_class_map(folder, row) for row in rows]
        except ValueError as error:
            raise ValueError(f"{path}, row {rows.line_num}: {error}") from error


def _class_map(folder: Path, row: Mapping[str, str]) -> ClassMap:
    pairs = [pair.partition("=") for pair in row["classes"].split()]
    return ClassMap(
        image=folder / row["image"],
        labels=folder / row["labels"],
        domain=row["domain"],
        classes={name: int(value) for name, _, value in pairs},
        certainty=float(row["certainty"]),
        uncertain_tiles=int(row["uncertain_tiles"]),
        tiles=int(row["tiles"]),
        uncertain=bool(int(row["uncertain"])),
    )


def _relative(path: Path, folder: Path) -> str:
    """A file as it is written: from the folder where it lies beneath it, else from the root."""
    whole = path.resolve()
    root = folder.resolve()
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()
