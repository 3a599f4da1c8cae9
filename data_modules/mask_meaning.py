"""What the masks of a manifest mean: of every modality and kind by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from data_modules.manifest import Record
from lotus.imaging.mask_files import look_at_mask
from lotus.masks import MaskFacts, MaskKind, MaskValues, Meaning, conclude

Group = tuple[str, MaskKind, MaskValues]


def look_at_records(records: Sequence[Record]) -> list[tuple[str, Meaning]]:
    """Look at the masks of records and say what they mean, as :func:`conclude_records`.

    Args:
        records: Rows of a manifest whose files exist.

    Raises:
        ValueError: A mask cannot be read, or masks can be read in two ways.
    """
    facts = [
        None if record.mask is None else look_at_mask(record.mask, record.mask_values)
        for record in records
    ]
    return conclude_records(records, facts)


def conclude_records(
    records: Sequence[Record],
    facts: Sequence[MaskFacts | None],
    *,
    option: str = "--mask-values",
) -> list[tuple[str, Meaning]]:
    """Say what masks mean; see :func:`lotus.masks.conclude`.

    Args:
        records: Rows of a manifest.
        facts: What the mask of each looks like; None without one.
        option: How it is said what their values stand for, for messages.

    Returns:
        Modality and meaning of its masks, one of each kind where a modality has several.

    Raises:
        ValueError: They can be read in two ways.
    """
    groups: dict[Group, dict[Path, MaskFacts]] = defaultdict(dict)
    for record, mask in zip(records, facts, strict=True):
        if record.mask is not None and mask is not None:
            groups[record.modality, record.mask_kind, record.mask_values][record.mask] = mask
    return [
        (modality, conclude(masks, values, kind, option=option))
        for (modality, kind, values), masks in groups.items()
    ]
