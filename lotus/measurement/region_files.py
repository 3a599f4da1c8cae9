"""Regions as files, class maps or drawings: which there are, what they are called, their cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lotus.imaging.file_names import image_stem


def files_in(path: Path, suffixes: Sequence[str], what: str) -> list[Path]:
    """The files that a path means: itself, or those of the folder in the order of their names.

    Args:
        path: A file or a folder.
        suffixes: Of the files of a folder, with their dots.
        what: What such a file holds, for messages.

    Raises:
        FileNotFoundError: There is nothing.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; {what} or a folder is expected")
    if not path.is_dir():
        return [path]
    files = [each for each in sorted(path.iterdir()) if each.suffix.lower() in suffixes]
    if not files:
        raise FileNotFoundError(f"{path} holds no {what} ({', '.join(suffixes)})")
    return files


def by_name(regions: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Files by the name of their region.

    Args:
        regions: Name and file of each.

    Raises:
        ValueError: Two are called the same, which one row of a table cannot tell apart.
    """
    found: dict[str, Path] = {}
    for roi, path in regions:
        if roi in found:
            raise ValueError(f"{path} and {found[roi]} are both called {roi}; rename one")
        found[roi] = path
    return found


def cases_of(files: Mapping[str, Path], cases: Mapping[str, str] | None) -> dict[str, str]:
    """The case of each region.

    Args:
        files: Of :func:`by_name`.
        cases: Of :func:`read_cases`; None: each region is a case of its own.

    Raises:
        ValueError: A region is of no case.
    """
    if cases is None:
        return {roi: roi for roi in files}
    for roi, path in files.items():
        if roi not in cases:
            raise ValueError(f"{path}: the table of cases has no row for {roi}")
    return {roi: cases[roi] for roi in files}


def read_cases(path: Path) -> dict[str, str]:
    """The case of each region, from a table or a manifest.

    Args:
        path: CSV with the columns ``roi, case``, or a manifest with ``image, patient``, whose
            regions are called as the files of images and masks are.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Other columns, or two cases of one region.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; a table with the columns roi, case")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if {"roi", "case"} <= set(table):
        pairs = list(zip(table["roi"], table["case"], strict=True))
    elif {"image", "patient"} <= set(table):
        names = [table[column] for column in ("image", "mask") if column in table]
        pairs = [
            (image_stem(Path(name)), patient)
            for column in names
            for name, patient in zip(column, table["patient"], strict=True)
            if name
        ]
    else:
        raise ValueError(
            f"{path} has the columns {', '.join(map(str, table.columns))}; roi and case are "
            "expected, or those of a manifest (image, patient)"
        )
    cases: dict[str, str] = {}
    for roi, case in pairs:
        if cases.setdefault(roi, case) != case:
            raise ValueError(f"{path}: {roi} is of the cases {cases[roi]} and {case}")
    return cases
