"""Slices that a trained network may label: without a mask, and of training patients alone."""

from __future__ import annotations

from collections.abc import Sequence

from data_modules.manifest import SPLIT_NAMES, Record
from data_modules.patients import identity
from data_modules.segmentation import nested_choice
from data_modules.splits import Splits


def slices_to_label(
    records: Sequence[Record],
    splits: Splits,
    *,
    patients: Sequence[str] | None = None,
    count: int | None = None,
    seed: int = 0,
) -> list[Record]:
    """The images of training patients that nobody has annotated by hand.

    Masks that a model drew (those with an ``origin``) do not count: they may be drawn anew by a
    better one.

    Args:
        records: Of one modality.
        splits: Of the training of the network that is to label.
        patients: Only of these; None: of all that were trained on.
        count: Most images, of as many patients as possible; smaller choices are part of larger
            ones. None: all.
        seed: Of that choice.

    Returns:
        The records in the order of the manifest, at least one.

    Raises:
        ValueError: A patient who is no training patient, a count below 1, or no such image.
    """
    members = set(map(identity, splits.train))
    if patients is not None:
        for patient in patients:
            _refuse_others(patient, splits)
        members = set(map(identity, patients))
    own = [record for record in records if identity(record.patient) in members]
    free = [record for record in own if record.mask is None or record.origin is not None]
    if not free:
        raise ValueError(
            f"no image without a mask of the {len(members)} training patients, {len(own)} with "
            "one; expected some to label"
        )
    if count is None:
        return free
    if count < 1:
        raise ValueError(f"{count} images to label; expected at least 1")
    chosen = {record.image for record in nested_choice(free, min(count, len(free)), seed=seed)}
    return [record for record in free if record.image in chosen]


def _refuse_others(patient: str, splits: Splits) -> None:
    """Refuse a patient whom the network was not trained on."""
    for name in SPLIT_NAMES:
        if identity(patient) in map(identity, getattr(splits, name)):
            if name == "train":
                return
            raise ValueError(
                f"patient {patient} is one of {name}, and their images are never labelled by a "
                f"network; training patients are {', '.join(splits.train)}"
            )
    raise ValueError(
        f"no patient {patient} in the split; training patients are {', '.join(splits.train)}"
    )
