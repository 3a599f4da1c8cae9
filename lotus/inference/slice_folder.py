"""The folder of slices to label: what was drafted, and what a person made of it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data_modules.manifest_table import read_table
from data_modules.slice_choice import VolumeSlice
from lotus.atomic import atomic_path
from lotus.imaging import read_label_map, write_image, write_label_map
from lotus.inference.own_files import OwnFiles, digest_of_labels

COLUMNS = ("name", "z", "uncertainty", "decision")
Decision = Literal["", "accept", "reject"]
"""What a person says of a draft that was not edited; empty: nothing yet."""
DRAWN_BY = "drawn by"


@dataclass(frozen=True)
class Listed:
    """A slice in the list of the folder.

    Attributes:
        uncertainty: Mean entropy in [0, 1]; NaN where no network drafted it.
        decision: What a person says.
    """

    uncertainty: float
    decision: Decision = ""


class SliceFolder:
    """Grey slices, labels to correct, and the list of both.

    A label file that is not what was drafted is taken as corrected.

    Args:
        path: The folder; made when the first file is written.

    Raises:
        ValueError: It is a file, or what it remembers is damaged.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; the output is a folder")
        self.path = path
        self.list = path / "slices.csv"
        self.manifest = path / "manifest.csv"
        self.origin = path / "origin.json"
        self._own = OwnFiles(path / ".own.json")

    def image_of(self, each: VolumeSlice) -> Path:
        """The grey slice, to look at."""
        return self.path / "grey" / _file_name(each)

    def label_of(self, each: VolumeSlice) -> Path:
        """Its labels, to correct."""
        return self.path / "labels" / _file_name(each)

    def is_drawn_by(self, key: str) -> bool:
        """Whether the slices in the folder were chosen and drafted under this key.

        Args:
            key: Digest of all that decides them.

        Raises:
            ValueError: They were under another one, and a person has worked on them.
        """
        if self._own.is_last(DRAWN_BY, key) and self.list.is_file():
            return True
        edited = [file for file in (self.path / "labels").glob("*.tif") if self._is_edited(file)]
        if self.list.is_file() and not self._own.holds(self.list.name, _digest(self.list)):
            edited.append(self.list)
        if edited:
            raise ValueError(
                f"{edited[0]} was changed by hand, for slices that another checkpoint or other "
                "settings had chosen; write to another folder, or remove this one"
            )
        return False

    def write_slice(
        self,
        each: VolumeSlice,
        plane: NDArray[np.generic],
        draft: NDArray[np.uint8],
        spacing_um: tuple[float, float] | None,
    ) -> None:
        """Write a grey slice and the draft of its labels."""
        self.write_draft(each, draft, spacing_um)
        write_image(self.image_of(each), plane, spacing_um)

    def write_draft(
        self,
        each: VolumeSlice,
        draft: NDArray[np.integer],
        spacing_um: tuple[float, float] | None,
    ) -> None:
        """Write the draft of a slice's labels, which no person made."""
        label = self.label_of(each)
        self._own.note(_key(label), digest_of_labels(draft))
        write_label_map(label, draft, spacing_um)

    def write_list(self, listed: Mapping[VolumeSlice, Listed], key: str) -> None:
        """Write the list in the order given, once all slices are written.

        Args:
            listed: What is known of each slice.
            key: Under which they were chosen and drafted.
        """
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each, known in listed.items():
            said = "" if np.isnan(known.uncertainty) else f"{known.uncertainty:.6f}"
            writer.writerow([each.record.name, each.z, said, known.decision])
        content = stream.getvalue().encode()
        self._own.note(self.list.name, hashlib.sha256(content).hexdigest())
        with atomic_path(self.list) as temporary:
            temporary.write_bytes(content)
        self._own.note(DRAWN_BY, key)

    def read_list(self, known: Iterable[VolumeSlice]) -> dict[VolumeSlice, Listed]:
        """The slices of the list, and what a person says of them.

        Args:
            known: Slices that there are.

        Raises:
            ValueError: A slice that there is not, one twice, or another decision.
        """
        by_place = {(each.record.name, str(each.z)): each for each in known}
        found: dict[VolumeSlice, Listed] = {}
        for number, row in read_table(self.list, COLUMNS).rows:
            each = by_place.get((row["name"], row["z"]))
            if each is None or each in found:
                trouble = "stands here twice" if each else "is none that may be labelled"
                raise ValueError(
                    f"{self.list}: row {number}: slice {row['z']} of {row['name']!r} {trouble}"
                )
            decision = row["decision"]
            if decision not in get_args(Decision):
                raise ValueError(
                    f"{self.list}: row {number}, column decision: found {decision!r}, expected "
                    "accept, reject or nothing"
                )
            said: Decision = "accept" if decision == "accept" else "reject" if decision else ""
            found[each] = Listed(float(row["uncertainty"] or "nan"), said)
        return found

    def is_corrected(self, each: VolumeSlice) -> bool:
        """Whether the labels of a slice are not what was drafted.

        Raises:
            FileNotFoundError: There is no label file of it any more.
        """
        if not self.label_of(each).is_file():
            raise FileNotFoundError(
                f"{self.label_of(each)} is not there; reject the slice in {self.list.name} instead"
            )
        return self._is_edited(self.label_of(each))

    def _is_edited(self, label: Path) -> bool:
        return not self._own.holds(_key(label), digest_of_labels(read_label_map(label)))


def _file_name(each: VolumeSlice) -> str:
    return f"{each.record.name}_z{each.z:04d}.tif"


def _key(label: Path) -> str:
    return f"labels/{label.name}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
