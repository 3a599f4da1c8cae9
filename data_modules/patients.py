"""Who is the same person: names that differ in writing alone are names of one patient.

A split may also name a block of slices, ``patient/volume[start:stop]``, where volumes are divided
along z.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_BLOCK = re.compile(r"(.+)/([^/]+)\[(\d+):(\d+)\]", re.DOTALL)


def identity(name: str) -> str:
    """What all ways to write one patient's name have in common.

    Args:
        name: As in a manifest or split file.

    Returns:
        The name in lower case and Unicode's composed form, with single blanks: ``p a`` of ``P  A``.
    """
    folded = unicodedata.normalize("NFD", name).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def one_name_each(names: Iterable[str]) -> dict[str, str]:
    """One of the names of every person, whatever their order.

    Args:
        names: Of patients, repeated as often as there are images.

    Returns:
        For every name the first, in alphabetical order, of those of the same person.
    """
    first: dict[str, str] = {}
    return {name: first.setdefault(identity(name), name) for name in sorted({*names})}


@dataclass(frozen=True)
class Member:
    """Whom or what a split names: a patient, or slices of a volume of one.

    Attributes:
        patient: As it is written.
        volume: Name of the volume; None for all that there is of the patient.
        start: Its first slice.
        stop: The slice after the last.
    """

    patient: str
    volume: str | None = None
    start: int = 0
    stop: int = 0

    @classmethod
    def of(cls, name: str) -> Member:
        """What a name in a split stands for."""
        found = _BLOCK.fullmatch(name)
        if found is None:
            return cls(name)
        return cls(found[1], found[2], int(found[3]), int(found[4]))

    def __str__(self) -> str:
        """The name, as a split has it."""
        if self.volume is None:
            return self.patient
        return f"{self.patient}/{self.volume}[{self.start}:{self.stop}]"

    def shares_tissue_with(self, other: Member) -> bool:
        """Whether two members may show the same tissue, so that they cannot train and test.

        Two volumes of one patient may; different slices of one volume do not.
        """
        if identity(self.patient) != identity(other.patient):
            return False
        return self.volume is None or self.volume != other.volume or self._overlaps(other)

    def _overlaps(self, other: Member) -> bool:
        return self.start < other.stop and other.start < self.stop


def sharing_tissue(names: Iterable[str], others: Iterable[str]) -> set[str]:
    """Those of some names in a split that share tissue with any of some others.

    Args:
        names: To choose from.
        others: To compare with.
    """
    known: dict[str, list[Member]] = defaultdict(list)
    for other in map(Member.of, others):
        known[identity(other.patient)].append(other)
    return {
        name
        for name in names
        if any(map((member := Member.of(name)).shares_tissue_with, known[identity(member.patient)]))
    }
