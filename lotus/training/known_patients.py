"""No network that a training starts from may know the patients it will be tested on.

The checkpoint itself says whom its weights know, under ``patients``::

    {"cohorts": {cohort: [patient, ...]}, "unrecorded": [file name, ...]}

These are the patients it was trained or chosen on, together with those of every checkpoint that it
started from, resumed or learnt from, however far back: weights that were taught by a network which
saw a patient know that patient. The file of an encoder has the same in its metadata. ``unrecorded``
names those among the ancestors that do not say.
Masks that a model drew know whom the model knew: their manifest names its checkpoint as their
``origin``, or a JSON file with the record alone.

Two patients are the same person if name and cohort are equal, whatever their capitals, blanks and
Unicode form; of volumes that are divided along z, blocks of slices are named, and two that overlap
are the same. One cohort, ``default``, is the rule:
manifests of two modalities name the same people, and whether two manifests do cannot be read from
them, as their hashes differ also where one is a part of the other or the same images exported
again. Who pre-trains on other people whose names may coincide by chance, such as ``1``, says so
with ``--cohort``; without it a coincidence is refused, not overlooked.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict, cast

from lightning_utilities.core.rank_zero import rank_zero_warn

from data_modules.patients import identity, sharing_tissue
from data_modules.splits import Splits, read_splits
from lotus.runs import RunFolder
from lotus.tasks.checkpoint import read_checkpoint
from lotus.tasks.encoder_file import patients_of

COHORT = "default"
"""Whose patients a training sees, unless it says otherwise."""


class KnownPatients(TypedDict):
    """Whom the weights of a checkpoint know: plain data.

    Attributes:
        cohorts: Patients by whose they are.
        unrecorded: Names of checkpoints that it came from and that do not say.
    """

    cohorts: dict[str, list[str]]
    unrecorded: list[str]


def known_patients(checkpoints: Iterable[Path], splits: Splits, cohort: str) -> KnownPatients:
    """Refuse checkpoints that know a test patient; say whom a training's weights will know.

    A checkpoint without the record, of an older version or from elsewhere, is judged by the split
    of the run folder that it lies in. Without that either it is used, with a warning.

    Args:
        checkpoints: Whatever the training starts from, resumes or learns from, and the origins of
            its masks: checkpoints, or JSON files that hold the record alone.
        splits: The split of the training.
        cohort: Whose patients the split names.

    Returns:
        The record for the checkpoints of the training.

    Raises:
        ValueError: A checkpoint, or one that it came from, was trained or chosen on a test patient.
    """
    cohorts = {cohort: {*splits.train, *splits.val}}
    unrecorded: set[str] = set()
    for checkpoint in checkpoints:
        record = record_of(checkpoint, cohort)
        _refuse(checkpoint, sharing_tissue(splits.test, members(record, cohort)))
        for name, patients in record["cohorts"].items():
            cohorts.setdefault(name, set()).update(patients)
        unrecorded.update(record["unrecorded"])
    if unrecorded:
        rank_zero_warn(
            f"{', '.join(sorted(unrecorded))} does not say which patients it was trained with: "
            "leakage of test patients cannot be ruled out"
        )
    return {
        "cohorts": {name: sorted(patients) for name, patients in cohorts.items()},
        "unrecorded": sorted(unrecorded),
    }


def members(record: KnownPatients, cohort: str) -> list[str]:
    """A cohort's patients, and blocks of their volumes.

    Args:
        record: Whom a checkpoint knows.
        cohort: Its name.
    """
    return [
        patient
        for name, patients in record["cohorts"].items()
        if identity(name) == identity(cohort)
        for patient in patients
    ]


def record_of(checkpoint: Path, cohort: str) -> KnownPatients:
    """Whom a checkpoint knows, by its own word or by the split of its run folder."""
    is_record = checkpoint.suffix == ".json"
    if checkpoint.suffix == ".safetensors":
        record: Any = patients_of(checkpoint)
    else:
        record = _read(checkpoint) if is_record else read_checkpoint(checkpoint).get("patients")
    if isinstance(record, dict) and {"cohorts", "unrecorded"} <= record.keys():
        return cast("KnownPatients", record)
    if is_record:
        raise ValueError(f"{checkpoint}: no record of known patients; expected cohorts, unrecorded")
    run = RunFolder.of_checkpoint(checkpoint)
    if run is None or not run.splits.is_file():
        return {"cohorts": {}, "unrecorded": [checkpoint.name]}
    made_with = read_splits(run.splits)
    return {"cohorts": {cohort: [*made_with.train, *made_with.val]}, "unrecorded": []}


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no record of known patients here")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error})") from error


def _refuse(checkpoint: Path, leaked: set[str]) -> None:
    if leaked:
        more = f" and {len(leaked) - 1} more" if len(leaked) > 1 else ""
        raise ValueError(
            f"{checkpoint} was trained with patient {min(leaked)}{more}, whom this training tests "
            "on, or came from one that was: train both with the same manifest and seed, or with "
            "the same split file; other people of the same name need another --cohort"
        )
