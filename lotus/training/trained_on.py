"""Whom a network was trained on, for what may be done to these patients alone."""

import json
from collections.abc import Sequence
from pathlib import Path

from data_modules.manifest import Record
from data_modules.patients import identity
from data_modules.splits import Splits, read_splits
from lotus.runs import RunFolder
from lotus.training.known_patients import KnownPatients, known_patients, record_of


def checkpoint_of(given: Path) -> Path:
    """The one checkpoint that a file or a run folder stands for.

    Args:
        given: A ``.ckpt`` file, or a run folder, whose best checkpoint is meant.

    Raises:
        FileNotFoundError: It has none.
        ValueError: A cross-validation: each of its folds was trained on other patients.
    """
    if not given.is_dir():
        return given
    run = RunFolder(given)
    if run.best.is_file():
        return run.best
    fold = next(run.planned_folds(), None)
    if fold is not None:
        raise ValueError(
            f"{given} is a cross-validation, whose folds were trained on different patients; give "
            f"the run of one fold, such as {fold.path}"
        )
    raise FileNotFoundError(f"{given} is no run: no {run.best.relative_to(given)} in it")


def trained_on(checkpoint: Path, given: Path | None, cohort: str) -> tuple[Splits, KnownPatients]:
    """The split that a checkpoint was trained with, and whom its weights know.

    The split is that of the run folder that the checkpoint lies in. Another one may be given where
    it does not lie in one any more; where the checkpoint or its folder tell more, it must agree.

    Args:
        checkpoint: A ``.ckpt`` file.
        given: A split file; None: that of the run folder.
        cohort: Whose patients the split names.

    Raises:
        FileNotFoundError: No such checkpoint or split file.
        ValueError: There is no split, or it trains on somebody whom the network was validated or
            tested on, or who is new to it, or it tests somebody whom the network knows.
    """
    run = RunFolder.of_checkpoint(checkpoint)
    own = None if run is None or not run.splits.is_file() else read_splits(run.splits)
    splits = own if given is None else read_splits(given)
    if splits is None:
        raise ValueError(
            f"{checkpoint} does not lie in a run folder with {RunFolder(Path()).splits}, so nobody "
            "knows which patients it was trained on; give the split file of its training with "
            "--splits"
        )
    record = record_of(checkpoint, cohort)
    known = {identity(name) for names in record["cohorts"].values() for name in names}
    held_out = set() if own is None else set(map(identity, (*own.val, *own.test)))
    for patient in splits.train:
        strange = bool(known) and identity(patient) not in known
        if strange or identity(patient) in held_out:
            raise ValueError(
                f"{given or checkpoint.name} trains on patient {patient}, on whom {checkpoint} "
                "was not trained; give the split file of its own training"
            )
    return splits, known_patients([checkpoint], splits, cohort)


def modality_of(checkpoint: Path | None, records: Sequence[Record], given: str | None) -> str:
    """Which images of a manifest a network takes.

    Args:
        checkpoint: A ``.ckpt`` file, if there is a network.
        records: All of the manifest.
        given: The modality, if somebody said it.

    Returns:
        That, the only modality there is, or the one that is noted in the run folder.

    Raises:
        ValueError: There is none of that name, or there are several, and nothing says which.
    """
    modalities = sorted({record.modality for record in records})
    if given is not None:
        if given not in modalities:
            raise ValueError(f"no image of modality {given}; found {', '.join(modalities)}")
        return given
    if len(modalities) == 1:
        return modalities[0]
    run = None if checkpoint is None else RunFolder.of_checkpoint(checkpoint)
    data = json.loads(run.data.read_text(encoding="utf-8")) if run and run.data.is_file() else {}
    noted = data.get("modality")
    if noted not in modalities:
        silent = f", and {checkpoint} does not say which it was trained on" if checkpoint else ""
        raise ValueError(
            f"the manifest has the modalities {', '.join(modalities)}{silent}; say it with "
            "--modality"
        )
    return str(noted)
