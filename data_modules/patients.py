"""Who is the same person: names that differ in writing alone are names of one patient."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


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
