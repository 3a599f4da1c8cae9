"""Masks that a network draws on images without one, for the next network to learn from.

Poles et al., "On How to Unravel Bone Microscale Phenomena", BHI 2023: a U-Net trained on few
labelled slices labels further slices of its training patients, where p >= 0.5, and a second one is
trained on both.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.manifest import Record, write_manifest
from data_modules.review import Place, Verdict, read_review, review_text
from lotus.imaging import read_label_map
from lotus.inference.blended import probability_map
from lotus.inference.confidence import Confidence, patch_confidences
from lotus.inference.options import SegmentOptions
from lotus.inference.pseudo_folder import DRAWN_BY, PseudoFolder
from lotus.inference.pseudo_masks import IGNORED, VALUES, reviewed_mask, scheme_of
from lotus.inference.segmenter import Segmenter
from lotus.schemes import ConnectedComponents
from lotus.transforms.resampling import Spacing

Places = Mapping[str, Sequence[Place]]
Verdicts = dict[Place, Verdict]
CONFIDENCE_COLUMNS = ("name", "y", "x", "size", "confidence", "foreground", "entropy", "tissue")


@dataclass(frozen=True)
class PseudoLabelOptions:
    """How masks are drawn.

    Attributes:
        threshold: A pixel is foreground from this probability on; None: as trained.
        least_confidence: Patches of less are rejected, unless a review says otherwise.
        segment: How images go through the network.
    """

    threshold: float | None = None
    least_confidence: float = 0.0
    segment: SegmentOptions = field(default_factory=SegmentOptions)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A confidence outside [0, 1].
        """
        if not 0.0 <= self.least_confidence <= 1.0:
            raise ValueError(
                f"least confidence is {self.least_confidence:g}; expected a number in [0, 1]"
            )


@dataclass(frozen=True)
class PseudoLabels:
    """What was drawn.

    Attributes:
        labelled: Records with their new masks.
        verdicts: What holds for each patch.
        foreground: Share of foreground in the pixels that are not ignored.
    """

    labelled: tuple[Record, ...]
    verdicts: Mapping[Place, Verdict]
    foreground: float


@dataclass(frozen=True)
class _Drawn:
    """What was drawn on one image."""

    record: Record
    rows: list[tuple[Place, Confidence, Verdict]]
    foreground: int
    known: int


def pseudo_label(
    segmenter: Segmenter,
    checkpoint: Path,
    records: Sequence[Record],
    chosen: Sequence[Record],
    output: Path,
    *,
    places: Places,
    known: Mapping[str, object],
    options: PseudoLabelOptions | None = None,
    review: Path | None = None,
    notify: Callable[[str], None] = print,
) -> PseudoLabels:
    """Draw the masks of images, and write them with all that is needed to look at and to use them.

    ``labels/NAME.tif`` (0 background, 255 foreground, 128 nothing known), ``probability/NAME.tif``,
    ``confidence.csv``, ``review.csv``, ``origin.json`` and ``manifest.csv`` appear in ``output``.
    An image that went through the same network before does not go through it again, so a call
    goes on where one was stopped, and one with another review takes seconds.

    Args:
        segmenter: The trained network.
        checkpoint: Where it is from.
        records: All of the manifest; they are all in the new one.
        chosen: Those to label: of patients that the network was trained on.
        output: The folder.
        places: The patches of each image, by its name.
        known: Whom the network knows, see :mod:`lotus.training.known_patients`.
        options: How to go about it.
        review: A review list; None: that of ``output``, where a person has changed it.
        notify: Receives lines the user should read.

    Raises:
        FileNotFoundError: A file that is not there.
        ValueError: Bad input; a review list that does not fit; a mask in ``output`` that a person
            has changed.
    """
    options = options or PseudoLabelOptions()
    scheme = scheme_of(segmenter, options.threshold)
    folder = PseudoFolder(output)
    drawn_by = _drawn_by(checkpoint, segmenter, options)
    given = review or folder.edited_review(_digest([drawn_by, str(scheme.threshold)]))
    every = [place for record in chosen for place in places[record.name]]
    said = {} if given is None else read_review(given, every)
    for record in chosen:
        folder.refuse_edited_label(record.name)

    def probability_of(record: Record) -> tuple[NDArray[np.float32], Spacing | None]:
        return _probability(segmenter, record, folder, drawn_by, options.segment, notify)

    drawn = [
        _draw(record, probability_of, scheme, places[record.name], said, options, folder)
        for record in tqdm(chosen, "pseudo-labels", unit="slice", leave=False, disable=None)
    ]
    folder.own.note(DRAWN_BY, _digest([drawn_by, str(scheme.threshold)]))
    rows = [row for one in drawn for row in one.rows]
    folder.write_text(folder.confidence, _confidence_text(rows))
    if given is None or given.absolute() != folder.review.absolute():
        listed = [(place, sure.confidence, verdict) for place, sure, verdict in rows]
        folder.write_text(folder.review, review_text(listed, output))
    folder.write_text(folder.origin, json.dumps(known, indent=2) + "\n")
    new = {one.record.image: one.record for one in drawn}
    write_manifest(folder.manifest, [new.get(record.image, record) for record in records])
    folder.own.settle()
    pixels = sum(one.known for one in drawn)
    return PseudoLabels(
        tuple(record for record in new.values() if record.mask is not None),
        {place: verdict for place, _, verdict in rows},
        sum(one.foreground for one in drawn) / pixels if pixels else float("nan"),
    )


def _draw(
    record: Record,
    probability_of: Callable[[Record], tuple[NDArray[np.float32], Spacing | None]],
    scheme: ConnectedComponents,
    places: Sequence[Place],
    said: Mapping[Place, Verdict],
    options: PseudoLabelOptions,
    folder: PseudoFolder,
) -> _Drawn:
    """Draw and write the mask of one image."""
    probability, spacing = probability_of(record)
    foreground = scheme.decode(probability[None]) > 0
    tissue = None if record.tissue is None else read_label_map(record.tissue) > 0
    windows = [place.window for place in places]
    sure = patch_confidences(probability, foreground, windows, tissue)
    verdicts: Verdicts = {}
    for place, found in zip(places, sure, strict=True):
        # An undefined confidence is not enough either.
        enough = found.confidence >= options.least_confidence or not options.least_confidence
        verdicts[place] = said.get(place, Verdict("accept" if enough else "reject"))
    mask = reviewed_mask(foreground, verdicts)
    folder.write_label(record.name, mask, spacing)
    known = int(np.count_nonzero(mask != IGNORED))
    labelled = replace(record, mask=None, origin=None)
    if known:
        label = folder.label_of(record.name)
        labelled = replace(
            record, mask=label, mask_kind="binary", mask_values=VALUES, origin=folder.origin
        )
    rows = list(zip(places, sure, verdicts.values(), strict=True))
    return _Drawn(labelled, rows, int(np.count_nonzero(mask > IGNORED)), known)


def _probability(
    segmenter: Segmenter,
    record: Record,
    folder: PseudoFolder,
    drawn_by: str,
    options: SegmentOptions,
    notify: Callable[[str], None],
) -> tuple[NDArray[np.float32], Spacing | None]:
    """The probability of foreground of an image, drawn unless that was done before."""
    size = record.pixel_size_um
    with record.image.open("rb") as file:
        image = hashlib.file_digest(file, "sha256").hexdigest()
    key = _digest([drawn_by, image, str(size)])
    known = folder.known_probability(record.name, key)
    if known is not None:
        return known
    found, stated = probability_map(
        segmenter, record.image, replace(options, pixel_size_um=size), notify
    )
    probability = segmenter.instances.foreground(found)
    folder.keep_probability(record.name, key, probability, stated)
    return probability, stated


def _drawn_by(checkpoint: Path, segmenter: Segmenter, options: PseudoLabelOptions) -> str:
    """Digest of all that the probability of an image depends on besides the image."""
    with checkpoint.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    segment = options.segment
    given = [segment.window, segment.overlap, segment.precision_of(segmenter), segment.resample]
    return _digest([weights, *map(str, given)])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _confidence_text(rows: Sequence[tuple[Place, Confidence, Verdict]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CONFIDENCE_COLUMNS)
    for place, sure, _ in rows:
        numbers = ["" if np.isnan(value) else f"{value:.6f}" for value in astuple(sure)]
        writer.writerow([*place, *numbers])
    return stream.getvalue()
