"""The groups of patients as the classes that a network tells apart."""

from __future__ import annotations

from collections.abc import Sequence
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
    """The same records, in which the groups of the patients are permuted at random.

    A negative control: whoever classifies these better than by chance has seen test patients in
    training. All images of a patient keep one group, and groups keep their sizes. Every permutation
    is equally likely, so two test patients might as well have each other's groups: over many seeds
    the accuracy of any classifier is exactly chance where each fold tests as many patients of each
    group. A single seed may lean to the true groups or away from them. Dealing them out evenly
    instead would be no remedy: of a test patient's true group, those that train would then mostly
    be of the other new one. Patients of group ``unknown`` stay there.

    Args:
        records: Of one manifest.
        seed: Of the permutation, not negative.

    Returns:
        The records in their order.

    Raises:
        ValueError: A patient is in two groups.
    """
    true = {p: g for p, g in sorted(group_of_patients(records).items()) if g != UNKNOWN}
    permuted = np.random.default_rng(seed).permutation([*true.values()]).tolist()
    dealt = dict(zip(true, permuted, strict=True))
    return [
        replace(record, group=dealt.get(identity(record.patient), record.group))
        for record in records
    ]
