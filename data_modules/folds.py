"""Cross-validation folds by patient, stratified by group, jointly over all modalities."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from data_modules.manifest import Record, one_name_per_person
from data_modules.patients import identity
from data_modules.splits import (
    ANNOTATED,
    SplitNeeds,
    Splits,
    check_manifest_hash,
    make_splits,
    patient_traits,
    records_hash,
)
from lotus.atomic import atomic_path

VALIDATION_SHARE = 0.125
"""Of the patients that a fold does not test: a tenth of all patients with five folds."""


@dataclass(frozen=True)
class Folds:
    """The splits of a cross-validation: every patient is in exactly one test set.

    Attributes:
        seed: Seed of the draw.
        manifest_hash: :func:`~data_modules.splits.records_hash` of the records.
        splits: One split per fold.
    """

    seed: int
    manifest_hash: str
    splits: tuple[Splits, ...]


def make_folds(
    records: Sequence[Record],
    n_folds: int = 5,
    *,
    seed: int = 0,
    validation_share: float = VALIDATION_SHARE,
    needs: SplitNeeds = ANNOTATED,
) -> Folds:
    """Deal the patients out to the test sets of the folds, then carve validation from training.

    Patients with equal groups and modalities are dealt in turn, so that the folds hold equal
    shares of every stratum; prescribed splits of the manifest are not used.

    Args:
        records: Records of all modalities together.
        n_folds: Number of folds, at least 2.
        seed: Seed of the draw.
        validation_share: Share of the patients outside the test set, in [0, 1).
        needs: What the sets are to have.

    Returns:
        The folds.

    Raises:
        ValueError: With fewer than two folds, or a modality (a group, where every set needs all)
            with fewer patients of usable images than folds.
    """
    if n_folds < 2:
        raise ValueError(f"found {n_folds} fold(s); a cross-validation has at least 2")
    records = one_name_per_person(records)
    traits = patient_traits(records, needs.usable)
    for modality in sorted({record.modality for record in records}):
        able = [pairs for pairs in traits.values() if modality in {name for name, _ in pairs}]
        if len(able) < n_folds:
            raise ValueError(
                f"{n_folds} folds need as many patients with annotated {modality} images; found "
                f"{len(able)}: give fewer folds"
            )
        counts = Counter(group for pairs in able for name, group in pairs if name == modality)
        group, least = min(counts.items(), key=lambda item: (item[1], item[0]))
        if needs.every_group and least < n_folds:
            raise ValueError(
                f"{n_folds} folds need as many patients of every group; found {least} of group "
                f"{group} with {modality} images: give fewer folds"
            )
    test = _deal(traits, n_folds, seed)
    manifest_hash = records_hash(records)
    splits = []
    for fold in range(n_folds):
        # Prescribed splits would let a patient that trains here be a test patient of the file.
        free = [replace(record, split=None) for record in records if test[record.patient] != fold]
        shares = (1.0 - validation_share, validation_share, 0.0)
        inner = make_splits(free, shares, seed=seed, needs=needs)
        tested = tuple(sorted(patient for patient, number in test.items() if number == fold))
        name = f"fold {fold} of {n_folds}"
        splits.append(Splits(inner.train, inner.val, tested, seed, manifest_hash, name))
    return Folds(seed, manifest_hash, tuple(splits))


def pairs_of(records: Sequence[Record], needs: SplitNeeds = ANNOTATED) -> int:
    """How many folds leave one patient of every group out at a time.

    Args:
        records: Records of all modalities together.
        needs: Which images count.

    Returns:
        The number of patients of the smallest group; larger groups have more of them in a fold.

    Raises:
        ValueError: There are fewer than two groups, or two patients of one.
    """
    traits = patient_traits(one_name_per_person(records), needs.usable)
    groups = Counter(group for pairs in traits.values() for group in {group for _, group in pairs})
    if len(groups) < 2 or min(groups.values()) < 2:
        found = ", ".join(f"{group} {count}" for group, count in sorted(groups.items()))
        raise ValueError(
            f"folds of pairs need two patients of each of several groups; found {found or 'none'}"
        )
    return min(groups.values())


def with_records(folds: Folds, records: Sequence[Record]) -> Folds:
    """The same folds over other records of the same patients.

    What made masks for some patients leaves another manifest, whose trainings are to test whom
    the others test.

    Args:
        folds: The folds.
        records: The other records; of some of the patients perhaps.

    Returns:
        Folds of the patients that have a record.

    Raises:
        ValueError: A patient is in no fold.
    """
    patients = {identity(record.patient): record.patient for record in records}
    known = {identity(patient) for split in folds.splits for patient in split.test}
    if strange := sorted(patients[person] for person in patients.keys() - known):
        raise ValueError(
            f"patient {strange[0]} is in none of the folds, which were made of {len(known)} "
            "patients; expected a manifest of the same patients"
        )
    manifest_hash = records_hash(records)

    def present(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if identity(name) in patients)

    splits = tuple(
        replace(
            split,
            train=present(split.train),
            val=present(split.val),
            test=present(split.test),
            manifest_hash=manifest_hash,
        )
        for split in folds.splits
    )
    return Folds(folds.seed, manifest_hash, splits)


def write_folds(path: Path, folds: Folds) -> None:
    """Write folds as JSON.

    Args:
        path: The file; written atomically.
        folds: What to write.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(folds), indent=2) + "\n", encoding="utf-8")


def load_folds(path: Path, records: Sequence[Record]) -> Folds:
    """Read folds and make sure that they belong to these records and are a cross-validation.

    Args:
        path: A file of :func:`write_folds`.
        records: The records they were made for.

    Returns:
        The folds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, was made for other records, tests a patient twice or
            never, or lets a patient train or validate in the fold that tests it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no folds here")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folds = Folds(
            int(content["seed"]),
            str(content["manifest_hash"]),
            tuple(Splits.of(entry) for entry in content["splits"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a file of folds ({error!r})") from error
    check_manifest_hash(path, folds.manifest_hash, records, "give another --run, or")
    for number, split in enumerate(folds.splits):
        train, val, test = (
            {*map(identity, names)} for names in (split.train, split.val, split.test)
        )
        twice = sorted(test & (train | val) | train & val)
        if twice:
            raise ValueError(f"{path}: fold {number} has a patient in two sets: {twice[0]}")
    tested = Counter(identity(patient) for split in folds.splits for patient in split.test)
    for patient in sorted({identity(record.patient) for record in records} | set(tested)):
        if tested[patient] != 1:
            raise ValueError(f"{path}: patient {patient} is tested by {tested[patient]} folds")
    return folds


def _deal(traits: dict[str, frozenset[tuple[str, str]]], n_folds: int, seed: int) -> dict[str, int]:
    """The fold that tests each patient: even in every stratum, every modality and in all."""
    strata: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for patient in sorted(traits):
        strata[tuple(sorted(traits[patient]))].append(patient)
    generator = np.random.default_rng(seed)
    held: list[Counter[object]] = [Counter() for _ in range(n_folds)]
    dealt: dict[str, int] = {}
    # Patients of several modalities first: those of one can make up for an uneven modality.
    order = sorted(strata, key=lambda pairs: (-len({name for name, _ in pairs}), pairs))
    for stratum in order:
        modalities = sorted({modality for modality, _ in stratum})
        for patient in generator.permutation(strata[stratum]).tolist():
            burden = [
                (max(fold[name] for name in modalities), fold[stratum], fold.total())
                for fold in held
            ]
            dealt[patient] = burden.index(min(burden))
            held[dealt[patient]].update([stratum, *modalities])
    return dealt
