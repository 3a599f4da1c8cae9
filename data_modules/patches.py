"""The patches of slices that lie in tissue: chosen once, kept as a table, cut when they are read.

``patches.csv`` has one row per patch: ``name`` and ``image`` of its slice, ``patient``, ``group``,
first pixel ``y`` and ``x``, side ``size`` in pixels, and ``bone_fraction``. Paths are relative to
the table's folder; a slice is known by its name, so that the images may lie elsewhere.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_modules.manifest import Record
from data_modules.patients import identity
from lotus.atomic import atomic_path
from lotus.imaging.raster import read_label_map, read_size
from lotus.transforms.patches import (
    BONE_FRACTION,
    PATCH_SIZE,
    bone_fractions,
    enough_bone,
    patch_grid,
)

COLUMNS = ("name", "image", "patient", "group", "y", "x", "size", "bone_fraction")
FILE = "patches.csv"


@dataclass(frozen=True)
class SlicePatches:
    """The chosen patches of one slice.

    Attributes:
        corners: int64 (N, 2), first pixel (y, x) of each, row by row.
        size: Side in pixels.
        bone_fraction: float64 (N,), share of tissue in each, in [0, 1].
    """

    corners: NDArray[np.int64]
    size: int
    bone_fraction: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.corners)

    def window(self, number: int) -> tuple[slice, slice]:
        """The pixels (Y, X) of a patch."""
        y, x = self.corners[number].tolist()
        return slice(y, y + self.size), slice(x, x + self.size)

    def at_most(self, count: int, generator: np.random.Generator) -> SlicePatches:
        """A random choice, in order; a smaller one is part of a larger one.

        Args:
            count: How many, at least 1; all where there are fewer.
            generator: Decides which.
        """
        chosen = np.sort(generator.permutation(len(self))[:count])
        return SlicePatches(self.corners[chosen], self.size, self.bone_fraction[chosen])


def choose_patches(
    record: Record,
    *,
    size: int = PATCH_SIZE,
    stride: int = PATCH_SIZE,
    minimum_fraction: float = BONE_FRACTION,
) -> SlicePatches:
    """The patches of a slice that lie in its tissue, or the best one if none does.

    Args:
        record: A row of the manifest with ``tissue``.
        size: Side of a patch in pixels.
        stride: Pixels from one patch to the next.
        minimum_fraction: Least share of tissue, in [0, 1].

    Raises:
        ValueError: The row has no mask of the tissue, or the slice is smaller than a patch.
    """
    if record.tissue is None:
        raise ValueError(
            f"{record.image}: the manifest has no mask of its tissue; "
            "`lotus enhance MANIFEST` finds bone and writes a manifest with the column tissue"
        )
    tissue = read_label_map(record.tissue) != 0
    try:
        fractions = bone_fractions(tissue, size=size, stride=stride)
    except ValueError as error:
        raise ValueError(f"{record.image}: {error}") from error
    chosen = enough_bone(fractions, minimum_fraction)
    grid = patch_grid(tissue.shape, size=size, stride=stride)
    return SlicePatches(grid[chosen], size, fractions[chosen])


def spread_slices(records: Sequence[Record], count: int) -> list[Record]:
    """So many slices of every patient: those with a mask first, the others at even distances.

    Args:
        records: Of one modality.
        count: Slices per patient; all where there are fewer.

    Returns:
        The chosen records in their order.

    Raises:
        ValueError: The count is not positive.
    """
    if count < 1:
        raise ValueError(f"{count} slices per patient; expected at least 1")
    of_patient: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_patient[identity(record.patient)].append(record)
    chosen: set[Path] = set()
    for own in of_patient.values():
        annotated = [record for record in own if record.mask is not None][:count]
        others = [record for record in own if record.mask is None]
        left = min(count - len(annotated), len(others))
        places = (np.arange(left) + 0.5) * len(others) / max(left, 1)
        chosen |= {record.image for record in annotated}
        chosen |= {others[int(place)].image for place in places}
    return [record for record in records if record.image in chosen]


def write_patches(path: Path, patches: Iterable[tuple[Record, SlicePatches]]) -> None:
    """Write a table of patches.

    Args:
        path: The CSV file; written atomically.
        patches: Of each slice.
    """
    folder = Path(path).parent.resolve()
    with atomic_path(Path(path)) as temporary:
        pd.DataFrame(columns=list(COLUMNS)).to_csv(temporary, index=False, lineterminator="\n")
        for record, own in patches:
            frame = pd.DataFrame(
                {
                    "name": record.name,
                    "image": Path(os.path.relpath(record.image, folder)).as_posix(),
                    "patient": record.patient,
                    "group": record.group,
                    "y": own.corners[:, 0],
                    "x": own.corners[:, 1],
                    "size": own.size,
                    "bone_fraction": own.bone_fraction.round(6),
                }
            )
            frame.to_csv(temporary, mode="a", header=False, index=False, lineterminator="\n")


def read_patches(path: Path, records: Sequence[Record]) -> dict[str, SlicePatches]:
    """Read a table of patches and make sure that it fits a manifest.

    Args:
        path: The CSV file.
        records: Of one modality; the table may leave some of them out.

    Returns:
        The patches of each slice that has some, by its name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not such a table, patches differ in size, a slice is not in the manifest
            or of another patient there, or a patch leaves its slice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no table of patches here; `lotus patches` writes one")
    table = _read_table(path)
    known = {record.name: record for record in records}
    patches = {}
    for name, own in table.groupby("name", sort=False):
        record = known.get(str(name))
        if record is None:
            raise ValueError(
                f"{path}: slice '{name}' is not in the manifest; expected patches of its slices: "
                "run `lotus patches` on this manifest"
            )
        patches[record.name] = _checked(path, record, own)
    return patches


def _read_table(path: Path) -> Any:
    words = dict.fromkeys(("name", "image", "patient", "group"), str)
    try:
        table = pd.read_csv(path, dtype=words, keep_default_na=False)
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        table = table.astype(
            {"y": np.int64, "x": np.int64, "size": np.int64, "bone_fraction": np.float64}
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a table of patches ({reason})") from error
    if table.empty:
        raise ValueError(f"{path}: found a header alone, expected at least one patch")
    sizes = sorted(set(table["size"]))
    if len(sizes) > 1 or sizes[0] < 1:
        raise ValueError(
            f"{path}: found patches of {sizes[0]} and {sizes[-1]} px; expected one size"
        )
    return table


def _checked(path: Path, record: Record, table: Any) -> SlicePatches:
    """The patches of one slice, which must be of its patient and lie within it."""
    patients = set(map(identity, table["patient"]))
    if patients != {identity(record.patient)}:
        found = table["patient"].iloc[0]
        raise ValueError(
            f"{path}: slice '{record.name}' is of patient '{found}', in the manifest of "
            f"'{record.patient}'; run `lotus patches` on this manifest"
        )
    corners = table[["y", "x"]].to_numpy()
    size = int(table["size"].iloc[0])
    rows, columns = read_size(record.image)
    outside = (corners < 0).any(axis=1) | (corners + size > (rows, columns)).any(axis=1)
    if outside.any():
        y, x = corners[outside][0]
        raise ValueError(
            f"{path}: the patch of {size} px at y={y}, x={x} leaves slice '{record.name}' of "
            f"{rows} x {columns} px; run `lotus patches` on this manifest"
        )
    return SlicePatches(corners, size, table["bone_fraction"].to_numpy())


def with_patches(
    records: Sequence[Record], patches: Mapping[str, SlicePatches]
) -> list[SlicePatches]:
    """The patches of each record.

    Args:
        records: Slices.
        patches: Of :func:`read_patches`.

    Raises:
        ValueError: A slice has none.
    """
    lacking = [record.name for record in records if record.name not in patches]
    if lacking:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        raise ValueError(
            f"slice '{lacking[0]}'{more} has no patch in the table; expected patches of every "
            "slice that trains: run `lotus patches` on this manifest"
        )
    return [patches[record.name] for record in records]
