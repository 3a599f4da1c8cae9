"""Which groups phantoms are of, and in what their bone differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Literal, TypeVar

from data_modules.phantoms.anatomy import GROUPS, BoneProperties
from data_modules.phantoms.lacunae import LacunaPopulation

Differ = Literal["all", "lacunae", "nothing"]
"""Everything that is known of the groups; lacunae alone, in the same bone; or their names alone."""

LARGEST_EFFECT = 3.0
_Properties = TypeVar("_Properties", BoneProperties, LacunaPopulation)


def study_groups(
    names: Sequence[str] = tuple(GROUPS), differ: Differ = "all", effect: float = 1.0
) -> dict[str, BoneProperties]:
    """The bone of the groups of a study.

    With ``lacunae`` a group has its own density, size and shape of the lacunae, and all else as in
    healthy bone: bone fraction, canals and the share of empty lacunae.

    Args:
        names: Keys of ``GROUPS``, in the order in which patients take turns.
        differ: In what the groups differ.
        effect: How far groups are from healthy bone, in units of ``GROUPS``: every ratio to healthy
            is taken to this power. Above 0, at most 3.

    Returns:
        The bone of each group.

    Raises:
        ValueError: A name is unknown or stands twice, or the effect is out of range.
    """
    if not names or len(set(names)) < len(names) or set(names) - GROUPS.keys():
        raise ValueError(f"groups {' '.join(names)}: take each once, of {', '.join(GROUPS)}")
    if not 0.0 < effect <= LARGEST_EFFECT:
        raise ValueError(f"effect {effect:g}: take a value above 0 and up to {LARGEST_EFFECT:g}")
    healthy = GROUPS["healthy"]
    if differ == "nothing":
        return dict.fromkeys(names, healthy)
    lacunae = {name: _further(healthy.lacunae, GROUPS[name].lacunae, effect) for name in names}
    if differ == "lacunae":
        return {name: replace(healthy, lacunae=lacunae[name]) for name in names}
    return {
        name: replace(_further(healthy, GROUPS[name], effect), lacunae=lacunae[name])
        for name in names
    }


def _further(start: _Properties, end: _Properties, effect: float) -> _Properties:
    """As far from the start as the end is, times the effect, on a logarithmic scale."""
    numbers = {}
    for field in fields(start):
        first, last = getattr(start, field.name), getattr(end, field.name)
        if isinstance(first, float):
            # Exactly the end where the effect is 1.
            numbers[field.name] = last * (last / first) ** (effect - 1.0)
    return replace(start, **numbers)
