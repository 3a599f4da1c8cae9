"""What the masks of a manifest mean, modality by modality."""

from pathlib import Path

import numpy as np
import pytest

from data_modules.manifest import Record
from data_modules.mask_meaning import conclude_records
from lotus.masks import MaskValues, mask_facts

LABELS = np.eye(6, dtype=np.uint8) * np.array([1, 2, 3, 0, 4, 5], np.uint8)


def meanings(*rows):
    """Of masks given as modality, kind, values and pixels."""
    records, facts = [], []
    for number, (modality, kind, values, pixels) in enumerate(rows):
        said = MaskValues.parse(values)
        mask = None if pixels is None else Path(f"{modality}/{number}.png")
        image = Path(f"{number}.tif")
        records.append(Record(image, mask, kind, modality, "p", "g", None, mask_values=said))
        facts.append(None if pixels is None else mask_facts(said.apply(pixels)))
    return [(modality, found.text) for modality, found in conclude_records(records, facts)]


def test_every_modality_is_looked_at_by_itself():
    found = meanings(
        ("ct", "binary", "", LABELS.clip(max=1) * 255),
        ("he", "instances", "", LABELS),
        ("he", "instances", "", LABELS),
        ("he", "instances", "", None),
    )
    assert found == [
        ("ct", "binary: 0 is background, 255 object (13.9 % of the pixels)"),
        ("he", "instances: 0 is background, 10 objects (13.9 % of the pixels)"),
    ]
    dots = np.kron(np.ones((3, 3), np.uint8), [[255, 0], [0, 0]])
    with pytest.raises(ValueError, match=r"^he: every mask holds one value"):
        meanings(("ct", "instances", "", LABELS), ("he", "instances", "", dots))


def test_kinds_and_values_within_a_modality_are_too():
    one_and_two = LABELS.clip(max=1) + 1
    found = meanings(
        ("ct", "instances", "", LABELS),
        ("ct", "binary", "background=1 object=2", one_and_two),
        ("ct", "binary", "", LABELS),
    )
    assert [text.partition(" (")[0] for _, text in found] == [
        "instances: 0 is background, 5 objects",
        "binary: 1 is background, 2 object",
        "binary: 0 is background, 1, 2, 3, 4 and 5 object",
    ]
