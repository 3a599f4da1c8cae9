"""Slices of volumes that a person labels: what a network drafts of them, and how unsure it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.manifest import Record
from data_modules.slab_source import stored_labels
from data_modules.slice_choice import VolumeSlice
from lotus.imaging import open_volume
from lotus.inference.volume_segmenter import VolumeSegmenter
from lotus.inference.volume_spacing import volume_spacing
from lotus.transforms.volume_input import VolumeInput
from lotus.windows import predict_slices


def entropies(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """How unsure a network is of each pixel: the entropy of its classes, as a share of the most.

    Args:
        probabilities: (K, Y, X), K at least 2, of sum 1.

    Returns:
        (Y, X) in [0, 1]: 0 where one class is sure, 1 where all are equally likely.
    """
    shares = np.maximum(probabilities.astype(np.float64), 1e-12)
    return np.asarray(-(shares * np.log(shares)).sum(axis=0) / np.log(len(shares)))


def drafts(
    segmenter: VolumeSegmenter,
    slices: Sequence[VolumeSlice],
    notify: Callable[[str], None] = print,
) -> Iterator[tuple[VolumeSlice, NDArray[np.uint8], float]]:
    """Segment single slices as `lotus segment` does whole volumes.

    Args:
        segmenter: From :func:`~lotus.inference.volume_segmenter.load_volume_segmenter`.
        slices: Volume by volume.
        notify: Receives lines the user should read.

    Yields:
        Each slice, its labels (Y, X), and its mean entropy in [0, 1].

    Raises:
        ValueError: A volume of another voxel size than the network's.
    """
    with tqdm(total=len(slices), desc="pre-label", unit="slice", disable=None) as bar:
        for image, grouped in groupby(slices, key=lambda each: each.record.image):
            with open_volume(image) as volume:
                own = [*grouped]
                volume_spacing(image, volume, segmenter, _voxel_size(own[0].record), notify)
                read = VolumeInput(volume, segmenter.preprocessing)
                for each in own:
                    ((_, probabilities),) = predict_slices(
                        segmenter.probabilities,
                        read,
                        volume.shape,
                        (each.z, each.z + 1),
                        slices=segmenter.slices,
                        output_slices=segmenter.output_slices,
                        window=segmenter.window,
                        overlap=segmenter.overlap,
                        batch_size=segmenter.batch_size,
                    )
                    labels = probabilities.argmax(axis=0).astype(np.uint8)
                    bar.update()
                    yield each, labels, float(entropies(probabilities).mean())


def _voxel_size(record: Record) -> tuple[float, float, float] | None:
    """What the manifest says of it, where it says all."""
    if record.pixel_size_um is None or record.slice_spacing_um is None:
        return None
    return record.slice_spacing_um, record.pixel_size_um, record.pixel_size_um


def grey_slice(each: VolumeSlice) -> tuple[NDArray[np.generic], tuple[float, float] | None]:
    """The slice as it is in its volume, and its pixel size (Y, X) in µm where that is known."""
    with open_volume(each.record.image) as volume:
        plane = volume.read(each.z)
        _, y, x = volume.spacing_um
    given = each.record.pixel_size_um
    y, x = (given, given) if given is not None else (y, x)
    return plane, None if y is None or x is None else (y, x)


def true_labels(z: int, row: Record) -> NDArray[np.integer]:
    """The labels (Y, X) of a slice in the mask of a row.

    Args:
        z: Number of the slice in its volume.
        row: One that has a mask, and the slice.

    Raises:
        ValueError: It has no mask.
    """
    if row.mask is None:
        raise ValueError(f"{row.image}: the row has no mask")
    with open_volume(row.mask) as mask:
        labels, _ = stored_labels(row, mask, z, (slice(None), slice(None)))
    return labels
