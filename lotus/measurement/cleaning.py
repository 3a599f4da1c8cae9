"""A segmented volume cleaned: read, closed, freed from islands, cropped and written by blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lotus.atomic import hidden_folder
from lotus.imaging.ome_zarr_metadata import LabelClass, label_classes
from lotus.imaging.volume_stores import volume_store
from lotus.masks.cleaning import CleanedVolume, PoreCleaning, clean_pores
from lotus.measurement.volume import BLOCK_DEPTH, Labels, LabelVolume


def pore_cleaning(
    volume: LabelVolume, *, closing_radius: int, minimum_size: int, keep_fragments: bool
) -> PoreCleaning:
    """How a volume with the classes ``lcn``, ``bone`` and perhaps ``shade_off`` is cleaned.

    What phase contrast shades off is bone all the same, so it becomes that.

    Args:
        volume: The segmented volume.
        closing_radius: Of the ball that closes gaps of pores, in voxels.
        minimum_size: Pores of fewer voxels become bone.
        keep_fragments: Whether bodies beside the greatest one stay.

    Raises:
        ValueError: A class has no value, or a size is below 0.
    """
    classes = volume.classes
    for name in ("lcn", "bone"):
        if name not in classes:
            found = ", ".join(f"{known}={value}" for known, value in classes.items()) or "none"
            raise ValueError(
                f"{volume.path} has no value for {name} (classes: {found}); give such as "
                "--classes lcn=1 shade_off=2 bone=3"
            )
    return PoreCleaning(
        pores=classes["lcn"],
        matrix=classes["bone"],
        merged={classes["shade_off"]: classes["bone"]} if "shade_off" in classes else {},
        closing_radius=closing_radius,
        minimum_size=minimum_size,
        keep_fragments=keep_fragments,
    )


def clean_volume(
    volume: LabelVolume, output: Path, cleaning: PoreCleaning, *, crop: bool
) -> CleanedVolume:
    """Write a volume cleaned; it appears whole or not at all.

    Args:
        volume: The segmented volume.
        output: Name ending in .ome.zarr or .ome.tif; not that of the volume itself.
        cleaning: What is done.
        crop: Whether slices, rows and columns of background alone are left out.

    Returns:
        What was done; its box is where the cropped volume was.

    Raises:
        ValueError: A name or a volume that cannot be used, or background alone.
    """
    if output.resolve() == volume.path.resolve():
        raise ValueError(f"{output} is the volume that is read; give another name")
    cleaned = clean_pores(volume.block, volume.shape[0], cleaning, block_depth=BLOCK_DEPTH)
    whole = tuple(slice(0, side) for side in volume.shape)
    z, y, x = cleaned.box if crop else whole
    if z.start == z.stop:
        raise ValueError(f"{volume.path} is background alone; there is nothing to clean")
    output.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(output.parent) as hidden:
        store = volume_store(
            output,
            hidden / output.name,
            (z.stop - z.start, y.stop - y.start, x.stop - x.start),
            np.uint8,
            volume.scale.spacing_um or (None, None, None),
            classes=_classes(volume, cleaning),
        )
        store.begin()
        inside = (
            labels[max(z.start - start, 0) : max(z.stop - start, 0), y, x]
            for start, labels in cleaned.blocks()
        )
        for number, block in enumerate(_sized(inside, store.depth)):
            store.write(number * store.depth, block)
        store.finish()
    return cleaned


def _classes(volume: LabelVolume, cleaning: PoreCleaning) -> tuple[LabelClass, ...]:
    """Names and colours of the values that are left."""
    greatest = max(volume.classes.values())
    names = {value: name for name, value in volume.classes.items()}
    shown = label_classes([names.get(value, "") for value in range(1, greatest + 1)])
    return tuple(each for each in shown if each.name and each.value not in cleaning.merged)


def _sized(blocks: Iterable[Labels], depth: int) -> Iterator[Labels]:
    """The same slices in blocks of ``depth``; the last one may have fewer."""
    held: list[Labels] = []
    for block in blocks:
        held.extend(block)
        while len(held) >= depth:
            yield np.stack(held[:depth]).astype(np.uint8)
            held = held[depth:]
    if held:
        yield np.stack(held).astype(np.uint8)
