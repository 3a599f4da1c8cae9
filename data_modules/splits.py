"""Training, validation and test sets by patient, jointly over all modalities."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_modules.manifest import SPLIT_NAMES, Record, Split, one_name_per_person
from data_modules.patients import identity
from lotus.atomic import atomic_path

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
UNANNOTATED = "unannotated "
Traits = frozenset[tuple[str, str]]
"""The (modality, group) pairs of a patient."""


def is_annotated(record: Record) -> bool:
    """Whether an image has a mask."""
    return record.mask is not None


@dataclass(frozen=True)
class SplitNeeds:
    """What the sets of a split are to have.

    Attributes:
        usable: Which images can train, validate and test; the others count for nothing.
        every_group: Whether every set is to have patients of every group, not only the training
            set, where there are enough.
    """

    usable: Callable[[Record], bool] = is_annotated
    every_group: bool = False


ANNOTATED = SplitNeeds()
"""Annotated images of every modality."""


@dataclass(frozen=True)
class Splits:
    """Which patient is in which set.

    Attributes:
        train: Patients to learn from.
        val: Patients to choose by.
        test: Patients to report.
        seed: Seed of the draw.
        manifest_hash: :func:`records_hash` of the records that were split.
        source: ``manifest`` (its split column decided all), ``drawn``, or ``manifest and drawn``.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    manifest_hash: str
    source: str

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Splits:
        """The splits that ``dataclasses.asdict`` made this of.

        Raises:
            KeyError, TypeError, ValueError: An entry is missing or of another type.
        """
        train, val, test = (tuple(map(str, content[name])) for name in SPLIT_NAMES)
        seed, source = int(content["seed"]), str(content["source"])
        return cls(train, val, test, seed, str(content["manifest_hash"]), source)

    def select(self, records: Sequence[Record], split: Split) -> list[Record]:
        """The records of one split.

        Args:
            records: Any records of the manifest that was split.
            split: ``train``, ``val`` or ``test``.

        Returns:
            The records whose patient is in the split, in their order.
        """
        names = {"train": self.train, "val": self.val, "test": self.test}[split]
        members = set(map(identity, names))
        return [record for record in records if identity(record.patient) in members]


def records_hash(records: Sequence[Record]) -> str:
    """SHA-256 over everything a split depends on, and over nothing else.

    Names, modalities, patients, groups, prescribed splits and slices count; the order of the rows
    and the folder the data lie in do not.
    """
    rows = sorted(
        (record.modality, record.name, record.patient, record.group, record.split or "")
        + (() if (slices := (record.z_start, record.z_stop)) == (None, None) else (str(slices),))
        for record in one_name_per_person(records)
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def make_splits(
    records: Sequence[Record],
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    *,
    seed: int = 0,
    needs: SplitNeeds = ANNOTATED,
) -> Splits:
    """Split patients into train, val and test.

    Patients with a prescribed split keep it. The others are drawn so that every combination of
    modality and group is in the training set, then every modality in every set where there are
    enough patients, then each stratum (patients of equal groups and modalities) is divided by
    ``fractions``.

    Args:
        records: Records of all modalities together.
        fractions: Shares of train, val and test; they sum to 1.
        seed: Seed of the draw.
        needs: What the sets are to have.

    Returns:
        The splits.

    Raises:
        ValueError: If the fractions do not sum to 1, or a patient has two prescribed splits.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1.0) > 1e-6 or fractions[0] == 0:
        raise ValueError(
            f"split fractions are {fractions}; expected train > 0, val and test >= 0 with sum 1"
        )
    records = one_name_per_person(records)
    prescribed = _prescribed(records)
    traits = patient_traits(records, needs.usable)
    assigned = dict(prescribed)
    drawn = _draw(traits, prescribed, fractions, seed)
    assigned |= drawn
    _fill_empty(assigned, traits, list(drawn), fractions, needs)
    source = "drawn" if not prescribed else "manifest and drawn" if drawn else "manifest"
    train, val, test = (
        tuple(sorted(patient for patient, split in assigned.items() if split == name))
        for name in SPLIT_NAMES
    )
    return Splits(train, val, test, seed, records_hash(records), source)


def write_splits(path: Path, splits: Splits) -> None:
    """Write splits as JSON.

    Args:
        path: The file; written atomically.
        splits: What to write.
    """
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(json.dumps(asdict(splits), indent=2) + "\n", encoding="utf-8")


def load_splits(path: Path, records: Sequence[Record]) -> Splits:
    """Read splits and make sure they belong to these records.

    Args:
        path: A file of :func:`write_splits`.
        records: The records they were made for.

    Returns:
        The splits.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, has a patient twice, or was made for other records.
    """
    splits = read_splits(path)
    counts = Counter(map(identity, (*splits.train, *splits.val, *splits.test)))
    twice = sorted(patient for patient, count in counts.items() if count > 1)
    if twice:
        raise ValueError(f"{path}: patient in two splits: {', '.join(twice)}")
    check_manifest_hash(
        path, splits.manifest_hash, records, "remove the file to split anew, or use"
    )
    return splits


def read_splits(path: Path) -> Splits:
    """Read splits, whatever records they were made for.

    Args:
        path: A file of :func:`write_splits`.

    Returns:
        The splits.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no split file here; leave it out to have one drawn")
    try:
        return Splits.of(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a split file of lotus ({error!r})") from error


def check_manifest_hash(path: Path, found: str, records: Sequence[Record], remedy: str) -> None:
    """Make sure that a file of splits or folds belongs to these records.

    Args:
        path: The file.
        found: The hash in it.
        records: The records it should have been made for.
        remedy: What the user can do instead of using the manifest it was made for.

    Raises:
        ValueError: It was made for others.
    """
    expected = records_hash(records)
    if found != expected:
        raise ValueError(
            f"{path}: made for another manifest (hash {found[:12]}, this one has {expected[:12]}); "
            f"{remedy} the manifest it was made for"
        )


def resolve_splits(
    records: Sequence[Record],
    path: Path | None,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    *,
    seed: int = 0,
    needs: SplitNeeds = ANNOTATED,
) -> Splits:
    """The split file where there is one, else a new split, written there.

    Args:
        records: Records of all modalities together.
        path: The split file; None draws without writing.
        fractions: See :func:`make_splits`.
        seed: See :func:`make_splits`.
        needs: See :func:`make_splits`.

    Returns:
        The splits.
    """
    if path is not None and Path(path).is_file():
        return load_splits(path, records)
    splits = make_splits(records, fractions, seed=seed, needs=needs)
    if path is not None:
        write_splits(path, splits)
    return splits


def coverage(records: Sequence[Record]) -> str:
    """Say how many patients each set gets by default, and which modality a set would lack.

    Args:
        records: Records of all modalities together.

    Returns:
        One line, such as ``train 10, val 1, test 1 patients``.
    """
    splits = make_splits(records)
    counts = ", ".join(f"{name} {len(getattr(splits, name))}" for name in SPLIT_NAMES)
    line = f"{counts} patients"
    for modality in sorted({record.modality for record in records}):
        own = [record for record in records if record.modality == modality]
        lacking = [name for name in SPLIT_NAMES if not splits.select(own, name)]
        if lacking:
            line += f"; no {modality} in {' and '.join(lacking)}"
    return line


def kinds(traits: Mapping[str, Traits], every_group: bool) -> list[Traits]:
    """What each set is to have one of: every modality, and then every group of each.

    Args:
        traits: Of all patients.
        every_group: Whether groups count.

    Returns:
        The pairs that stand for each of them, sorted.
    """
    pairs = sorted({pair for own in traits.values() for pair in own})
    names = dict.fromkeys(modality for modality, _ in pairs)
    found = [frozenset(pair for pair in pairs if pair[0] == name) for name in names]
    return found + ([frozenset([pair]) for pair in pairs] if every_group else [])


def _prescribed(records: Sequence[Record]) -> dict[str, Split]:
    prescribed: dict[str, Split] = {}
    for record in records:
        if record.split is None:
            continue
        if prescribed.setdefault(record.patient, record.split) != record.split:
            raise ValueError(
                f"patient '{record.patient}' is in {prescribed[record.patient]} and in "
                f"{record.split} ({record.image.name}); expected one split per patient"
            )
    return prescribed


def patient_traits(
    records: Sequence[Record], usable: Callable[[Record], bool] = is_annotated
) -> dict[str, Traits]:
    """The (modality, group) pairs of every patient.

    A modality without any usable image is one of its own: who has only such images can neither
    train nor validate nor test, and is not to be drawn in place of somebody who can.
    """
    annotated: dict[str, dict[tuple[str, str], bool]] = defaultdict(dict)
    for record in records:
        pair = (record.modality, record.group)
        known = annotated[record.patient].get(pair, False)
        annotated[record.patient][pair] = known or usable(record)
    return {
        patient: frozenset(
            (modality if annotated[patient][modality, group] else UNANNOTATED + modality, group)
            for modality, group in annotated[patient]
        )
        for patient in sorted(annotated)
    }


def _draw(
    traits: dict[str, Traits],
    prescribed: dict[str, Split],
    fractions: tuple[float, float, float],
    seed: int,
) -> dict[str, Split]:
    """Give every free patient to the split that lacks most, in its stratum and overall."""
    strata: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for patient, pairs in traits.items():
        if patient not in prescribed:
            strata[tuple(sorted(pairs))].append(patient)
    in_training = {
        pair for name, split in prescribed.items() if split == "train" for pair in traits[name]
    }
    generator = np.random.default_rng(seed)
    overall = np.zeros(3)
    drawn: dict[str, Split] = {}
    for stratum in sorted(strata):
        counts = np.zeros(3)
        for patient in generator.permutation(strata[stratum]).tolist():
            lacking = np.asarray(fractions) * (counts.sum() + 1) - counts
            lacking += np.asarray(fractions) * (overall.sum() + 1) - overall
            uncovered = not traits[patient] <= in_training
            choice = 0 if uncovered else int(np.argmax(lacking))
            if choice == 0:
                in_training |= traits[patient]
            counts[choice] += 1
            overall[choice] += 1
            drawn[patient] = SPLIT_NAMES[choice]
    return drawn


def _fill_empty(
    assigned: dict[str, Split],
    traits: dict[str, Traits],
    movable: Sequence[str],
    fractions: tuple[float, float, float],
    needs: SplitNeeds,
) -> None:
    """Move a training patient into each split that has none of some modality (and group).

    A patient moves only if every (modality, group) pair stays in the training set.
    """
    for wanted in kinds(traits, needs.every_group):
        able = [patient for patient, pairs in traits.items() if pairs & wanted]
        for split, fraction in zip(SPLIT_NAMES[1:], fractions[1:], strict=True):
            if fraction == 0 or any(assigned[patient] == split for patient in able):
                continue
            left = Counter(
                pair for p, pairs in traits.items() if assigned[p] == "train" for pair in pairs
            )
            free = [
                patient
                for patient in movable
                if patient in able
                and assigned[patient] == "train"
                and all(left[pair] > 1 for pair in traits[patient])
            ]
            if free:
                assigned[max(free, key=lambda p: min(left[pair] for pair in traits[p]))] = split
