"""Staged labelling: slices that a person labels next, and the manifest of what is labelled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_modules.blocks import rows_range
from data_modules.manifest import Record, write_manifest
from data_modules.slice_choice import (
    VolumeSlice,
    evenly_spread,
    most_uncertain,
    with_labels,
)
from lotus.atomic import atomic_path
from lotus.inference.slice_drafts import drafts, grey_slice, true_labels
from lotus.inference.slice_folder import Listed, SliceFolder
from lotus.inference.volume_segmenter import VolumeSegmenter


@dataclass(frozen=True)
class PreLabelled:
    """The slices of a folder.

    Attributes:
        corrected: Slices whose labels a person has changed.
        accepted: Slices whose draft a person has accepted.
        rejected: Slices that are not to be labelled.
        open: Slices of which nothing is said yet.
        uncertainty: Of each slice, NaN where no network drafted it.
    """

    corrected: tuple[VolumeSlice, ...]
    accepted: tuple[VolumeSlice, ...]
    rejected: tuple[VolumeSlice, ...]
    open: tuple[VolumeSlice, ...]
    uncertainty: Mapping[VolumeSlice, float]

    @property
    def labelled(self) -> tuple[VolumeSlice, ...]:
        """Slices that train from now on."""
        return (*self.corrected, *self.accepted)


def draw_slices(
    folder: SliceFolder,
    slices: Sequence[VolumeSlice],
    count: int,
    *,
    segmenter: VolumeSegmenter | None,
    apart: int,
    key: str,
) -> bool:
    """Write the slices that a person labels next, with a draft where there is a network.

    A network is asked for all slices, and those are taken that it is least sure of; without one
    slices at equal distances are, with empty labels.

    Args:
        folder: Where to.
        slices: All that may be labelled.
        count: How many to take.
        segmenter: The network, if there is one.
        apart: Least difference of the numbers of two slices of a volume.
        key: Digest of what decides all this.

    Returns:
        Whether anything was written; not if it is there already.

    Raises:
        ValueError: Too few slices, or a person has worked on others in the folder.
    """
    if folder.is_drawn_by(key):
        return False
    uncertainty: dict[VolumeSlice, float] = {}
    if segmenter is None:
        uncertainty = dict.fromkeys(evenly_spread(slices, count), float("nan"))
    else:
        all_of = {each: value for each, _, value in drafts(segmenter, slices)}
        chosen = most_uncertain(slices, [all_of[each] for each in slices], count, apart=apart)
        uncertainty = {each: all_of[each] for each in chosen}
    in_place = sorted(uncertainty, key=slices.index)
    drawn = {} if segmenter is None else {e: labels for e, labels, _ in drafts(segmenter, in_place)}
    for each in in_place:
        plane, spacing = grey_slice(each)
        empty = np.zeros(plane.shape, np.uint8)
        folder.write_slice(each, plane, drawn.get(each, empty), spacing)
    folder.write_list({each: Listed(value) for each, value in uncertainty.items()}, key)
    return True


def rehearse(
    folder: SliceFolder, slices: Sequence[VolumeSlice], truth: Sequence[Record], key: str
) -> None:
    """Put masks that are there in the place of every draft, and accept them.

    Args:
        folder: With the list.
        slices: All that may be labelled.
        truth: Rows with masks of the same images.
        key: Under which the slices were chosen.

    Raises:
        ValueError: None of them has the mask of a slice.
    """
    listed = folder.read_list(slices)
    for each in listed:
        for row in truth:
            first, stop = rows_range(row)
            if row.mask is not None and row.image == each.record.image and first <= each.z < stop:
                folder.write_draft(each, true_labels(each.z, row), grey_slice(each)[1])
                break
        else:
            raise ValueError(
                f"no row has the mask of slice {each.z} of {each.record.name}; the rehearsal needs "
                "the masks of all slices that may be chosen"
            )
    folder.write_list({e: Listed(said.uncertainty, "accept") for e, said in listed.items()}, key)


def take_labels(
    folder: SliceFolder,
    records: Sequence[Record],
    slices: Sequence[VolumeSlice],
    known: Mapping[str, object] | None,
) -> PreLabelled:
    """Write the manifest with what is labelled by now.

    Args:
        folder: With the list.
        records: All of the manifest; they are all in the new one.
        slices: All that may be labelled.
        known: Whom the network knows that made the drafts; None without one.

    Returns:
        What a person made of the slices.

    Raises:
        FileNotFoundError: A label file is gone.
        ValueError: The list names what is not there.
    """
    listed = folder.read_list(slices)
    rejected = tuple(each for each, said in listed.items() if said.decision == "reject")
    rest = [each for each in listed if each not in rejected]
    corrected = tuple(each for each in rest if folder.is_corrected(each))
    accepted = tuple(
        each for each in rest if each not in corrected and listed[each].decision == "accept"
    )
    found = PreLabelled(
        corrected,
        accepted,
        rejected,
        tuple(each for each in rest if each not in (*corrected, *accepted)),
        {each: said.uncertainty for each, said in listed.items()},
    )
    if known is not None:
        with atomic_path(folder.origin) as temporary:
            temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    labels = {each: folder.label_of(each) for each in sorted(found.labelled, key=slices.index)}
    origin = None if known is None else folder.origin
    write_manifest(folder.manifest, with_labels(records, labels, origin))
    return found


def key_of(checkpoint: Path | None, manifest: Path, **settings: object) -> str:
    """Digest of all that decides which slices are chosen and what their draft is.

    Args:
        checkpoint: Of the network, if there is one.
        manifest: Of the volumes.
        **settings: Of the choice.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in (manifest, *([] if checkpoint is None else [checkpoint])):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
