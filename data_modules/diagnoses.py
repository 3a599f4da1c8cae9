"""The groups of patients as the classes that a network tells apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from data_modules.manifest import Record
from data_modules.patients import identity

UNKNOWN = "unknown"
"""The group of whom nobody has diagnosed."""


def group_of_patients(records: Sequence[Record]) -> dict[str, str]:
    """The one group of every patient.

    Args:
        records: Of one manifest.

    Returns:
        Groups by :func:`~data_modules.patients.identity` of the patient.

    Raises:
        ValueError: A patient is in two groups; names both, each with an image.
    """
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(identity(record.patient), record)
        if other.group != record.group:
            raise ValueError(
                f"patient '{record.patient}' is of group {other.group} ({other.image.name}) and of "
                f"{record.group} ({record.image.name}); expected one group per patient"
            )
    return {patient: record.group for patient, record in first.items()}


def shuffled(records: Sequence[Record], seed: int) -> list[Record]:
    """The same records, in which the groups are dealt out anew to the patients.

    A negative control: whoever classifies these better than by chance has seen test patients in
    training. All images of a patient keep one group, groups keep their sizes, and the patients of
    each true group come as evenly as their number allows into all groups, so that what truly
    distinguishes them says nothing of the new ones. Patients of group ``unknown`` stay there.

    Args:
        records: Of one manifest.
        seed: Of the draw, not negative.

    Returns:
        The records in their order.

    Raises:
        ValueError: A patient is in two groups.
    """
    true = {p: g for p, g in group_of_patients(records).items() if g != UNKNOWN}
    generator = np.random.default_rng(seed)
    of_group: dict[str, list[str]] = {}
    for patient in sorted(true):
        of_group.setdefault(true[patient], []).append(patient)
    order = [p for group in sorted(of_group) for p in generator.permutation(of_group[group])]
    dealt = dict(zip(order, _interleaved(Counter(true.values()), generator), strict=True))
    return [
        replace(record, group=dealt.get(identity(record.patient), record.group))
        for record in records
    ]


def _interleaved(counts: Mapping[str, int], generator: np.random.Generator) -> list[str]:
    """Every group as often as it is counted, evenly spread over the whole sequence."""
    places = []
    for group in sorted(counts):
        start = generator.random()
        places += [((number + start) / counts[group], group) for number in range(counts[group])]
    return [group for _, group in sorted(places)]
