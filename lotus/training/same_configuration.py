"""Trainings that go on in a folder go on with the configuration they were begun with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from data_modules.splits import read_splits, records_hash
from lotus.runs import RunFolder
from lotus.tasks.description import with_public_paths
from lotus.training.configuration import read_configuration

PLACE = ("runs", "experiment", "run", "splits")
"""Keys that say where a run and its split lie, and not what is trained."""
MANIFEST = "manifest"
"""Last name of the keys that say where data lie: what is in them decides."""


def refuse_another_configuration(folder: Path, arguments: Sequence[str]) -> None:
    """Compare a configuration to that of an earlier training in the same folder.

    Without this a finished run would be taken for what is asked for now, and an interrupted one
    would go on as something else halfway. A class that has moved is the same class, and so it is
    with data: another manifest is the same if it has the records that the run was split by. Keys
    that only one of the two has are not compared: they belong to another version, or to a class
    that differs itself.

    Args:
        folder: A run folder; one without a configuration has not begun.
        arguments: Of `lotus fit`.

    Raises:
        ValueError: A key differs, or the older configuration cannot be read.
    """
    path = RunFolder(folder).config
    if not path.is_file():
        return
    try:
        there = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        there = None
    if not isinstance(there, dict):
        raise ValueError(f"{path}: not a configuration; remove {folder} to run it again")
    here = read_configuration(list(arguments))
    for key, old, new in differences(with_public_paths(there), with_public_paths(here.keys)):
        if key in PLACE or _is_one_path(old, new):
            continue
        if key.endswith(f".{MANIFEST}") and _was_split_by(folder, here.data):
            continue
        raise ValueError(
            f"{folder} was begun with {key} = {old}, and now it would be {new}; give the "
            "configuration as it was, or another --run"
        )


def _is_one_path(old: object, new: object) -> bool:
    """Whether both are names of one file; earlier versions kept relative paths."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    return Path(old).resolve() == Path(new).resolve()


def _was_split_by(folder: Path, data: Any) -> bool:
    """Whether the split of a run was made for just the records of these data."""
    splits = RunFolder(folder).splits
    return splits.is_file() and read_splits(splits).manifest_hash == records_hash(data.records)


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The keys, with dots, that two configurations have with different values, and the values."""
    for key in there:
        if key not in here:
            continue
        old, new = there[key], here[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new
