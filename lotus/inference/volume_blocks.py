"""Blocks of a volume through a network: read, labelled and written by any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lotus.imaging import Volume, open_volume
from lotus.imaging.voxels import VolumeStore
from lotus.inference.volume_options import VolumeOptions
from lotus.inference.volume_segmenter import VolumeSegmenter, load_volume_segmenter
from lotus.progress import Progress
from lotus.transforms.intensity_range import Limits
from lotus.transforms.volume_input import VolumeInput
from lotus.windows import predict_slices


@dataclass(frozen=True)
class VolumeJob:
    """All that a process needs to know to label any block of a volume.

    Attributes:
        source: File, OME-Zarr or folder of slices.
        checkpoint: Of the networks.
        options: How to go about it.
        limits: The grey values that become 0 and 1, where they hold for the whole volume.
        store: Where the labels go.
        progress: Where to note what is finished.
        key: What it is noted under.
    """

    source: Path
    checkpoint: Path
    options: VolumeOptions
    limits: Limits | None
    store: VolumeStore
    progress: Progress
    key: str


def segment_block(start: int, job: VolumeJob) -> int:
    """Label the slices of a block, write them and note it.

    Args:
        start: First slice of the block.
        job: The volume, the network and where labels go.

    Returns:
        Number of slices.

    Raises:
        ValueError: A slice cannot be read.
    """
    segmenter = load_volume_segmenter(job.checkpoint, job.options)
    with open_volume(job.source, dict(job.options.at)) as volume:
        stop = min(start + job.store.depth, volume.shape[0])
        slices = LabelledSlices(volume, segmenter, job.limits, ahead=job.store.depth)
        block = np.stack([*slices.between(start, stop)])
    job.store.write(start, block)
    counts = np.bincount(block.ravel(), minlength=1 + len(segmenter.class_names))
    facts = {"voxels": counts.tolist(), "not_finite": slices.not_finite}
    job.progress.note(job.key, start // job.store.depth, facts)
    return stop - start


class LabelledSlices:
    """The most probable class of every voxel, slice by slice.

    On a CPU one thread computes, so that the result is the same to the bit however many processes
    work beside each other: PyTorch adds in another order in another number of threads.

    Args:
        volume: An open volume.
        segmenter: The networks.
        limits: The grey values that become 0 and 1, where they are known already.
        ahead: Slices that are read at a time.

    Attributes:
        not_finite: Voxels without a finite value that became background, so far.
    """

    def __init__(
        self, volume: Volume, segmenter: VolumeSegmenter, limits: Limits | None, ahead: int = 1
    ) -> None:
        self.not_finite = 0
        self._volume, self._segmenter = volume, segmenter
        self._input = VolumeInput(volume, segmenter.preprocessing, limits, ahead)
        self._holes: dict[int, NDArray[np.bool_]] = {}

    def between(self, start: int, stop: int) -> Iterator[NDArray[np.uint8]]:
        """The labels (Y, X) of slices from ``start`` to before ``stop``: 0 is background."""
        segmenter = self._segmenter
        with _one_thread(segmenter.device):
            for index, probabilities in predict_slices(
                segmenter.probabilities,
                self._read,
                self._volume.shape,
                (start, stop),
                slices=segmenter.slices,
                output_slices=segmenter.output_slices,
                window=segmenter.window,
                overlap=segmenter.overlap,
                batch_size=segmenter.batch_size,
            ):
                labels = probabilities.argmax(axis=0).astype(np.uint8)
                if (holes := self._holes.pop(index, None)) is not None:
                    labels[holes] = 0
                    self.not_finite += int(holes.sum())
                yield labels

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        """Slices in [0, 1]; where they hold no finite value is kept until they are labelled."""
        raw = self._input.raw(start, stop)
        if raw.dtype.kind == "f":
            self._holes |= dict(zip(range(start, stop), ~np.isfinite(raw), strict=True))
        return self._input(start, stop)


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
