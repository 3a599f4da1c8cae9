"""The voxel size of a volume and that of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lotus.imaging import Volume
from lotus.imaging.voxels import Spacing
from lotus.inference.spacing import MOST_SPACING_DIFFERENCE
from lotus.inference.volume_segmenter import VolumeSegmenter

SAME = 0.01
"""Sizes that differ by less are the same."""


def volume_spacing(
    source: Path,
    volume: Volume,
    segmenter: VolumeSegmenter,
    given_um: tuple[float, float, float] | None,
    notify: Callable[[str], None],
) -> Spacing:
    """The voxel size that counts, once it is known to fit the network.

    Args:
        source: The volume's file.
        volume: An open volume.
        segmenter: Knows the voxel size of its training volumes.
        given_um: Size of a voxel (Z, Y, X) in µm by hand; goes before what the file states.
        notify: Receives a line where there is no size, or another than the network's or the file's.

    Returns:
        (Z, Y, X) in µm, None along an axis where it is not known.

    Raises:
        ValueError: It differs from that of the training volumes by more than a fifth.
    """
    stated, name = volume.spacing_um, source.name
    spacing = given_um or stated
    if given_um is not None and _difference(given_um, stated) > SAME:
        notify(
            f"note: {name}: the file states {in_um(stated)} per voxel; the given {in_um(given_um)} "
            "are used"
        )
    if None in spacing:
        notify(
            f"warning: {name} does not state the size of its voxels, and neither will the labels, "
            "of which nothing is measured in µm then; give --voxel-size-um Z Y X"
        )
    trained = segmenter.spacing_um
    if trained is not None and (difference := _difference(trained, spacing)) > SAME:
        text = f"{name} has {in_um(spacing)} per voxel, the training volumes had {in_um(trained)}"
        if difference > MOST_SPACING_DIFFERENCE:
            raise ValueError(
                f"{text}; resample it to that, or give its true size with --voxel-size-um"
            )
        notify(f"note: {text}")
    return spacing


def in_um(spacing_um: Spacing) -> str:
    """A voxel size (Z, Y, X) in words, such as "0.094 x 0.094 x 0.094 µm"."""
    return " x ".join("?" if size is None else f"{size:.4g}" for size in spacing_um) + " µm"


def _difference(first: tuple[float, float, float], second: Spacing) -> float:
    """The largest relative difference along an axis that both know."""
    pairs = zip(first, second, strict=True)
    return max((abs(b / a - 1.0) for a, b in pairs if b is not None), default=0.0)
