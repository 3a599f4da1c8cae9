"""Segmentation of volumes larger than memory: in blocks, on from where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from lotus.atomic import errors_naming, exclusively
from lotus.imaging import Volume, open_volume
from lotus.imaging.file_names import is_zarr, last_changes
from lotus.imaging.slice_series import check_series
from lotus.imaging.volume_stores import volume_store
from lotus.imaging.voxels import Spacing
from lotus.inference.forecast import forecast, in_bytes, in_time
from lotus.inference.segmenter import checkpoint_files
from lotus.inference.volume_blocks import VolumeJob, segment_block
from lotus.inference.volume_options import VolumeOptions
from lotus.inference.volume_segmenter import VolumeSegmenter, load_volume_segmenter
from lotus.inference.volume_spacing import volume_spacing
from lotus.process_pool import Map, in_this_process
from lotus.progress import Progress
from lotus.transforms.volume_input import limits_of


@dataclass(frozen=True)
class SegmentedVolume:
    """What was found.

    Attributes:
        voxels: How many of each class, background first.
        not_finite: Voxels of the background that hold no finite value.
    """

    voxels: dict[str, int]
    not_finite: int


def segment_volume(
    source: Path,
    output: Path,
    checkpoint: Path,
    options: VolumeOptions | None = None,
    *,
    run: Map = in_this_process,
    processes: int | None = 1,
    notify: Callable[[str], None] = print,
) -> SegmentedVolume:
    """Label every voxel of a volume with its most probable class.

    Memory is that of a block of slices in each process, however many slices there are. What a run
    that was stopped had finished is kept, and the result is the same to the byte; it is kept only
    for the same checkpoint and options, and of a volume that has not changed.

    Args:
        source: Multi-page TIFF, OME-TIFF, OME-Zarr or folder of slices.
        output: Name ending in .ome.zarr or .ome.tif: uint8, 0 background, classes from 1.
        checkpoint: A ``.ckpt`` file, a run folder or a cross-validation.
        options: How to go about it.
        run: Where blocks are worked on.
        processes: How many blocks ``run`` works on at a time, for the forecast; None: unknown.
        notify: Receives what it will take, and what the user should know of the volume.

    Raises:
        FileNotFoundError: No such volume or checkpoint, or a slice is missing.
        ValueError: A volume or checkpoint that cannot be used, a voxel size that differs from that
            of the training, a disk that is too small, or another process that writes the same.
    """
    options = options or VolumeOptions()
    segmenter = load_volume_segmenter(checkpoint, options)
    if source.resolve() == output.resolve():
        raise ValueError(f"{output} is the input; give --output another name")
    if source.is_dir() and not is_zarr(source):
        check_series(source)
    with open_volume(source, dict(options.at)) as volume:
        job = _planned(source, output, checkpoint, options, volume, segmenter, notify)
        with (
            exclusively(job.progress.folder, output),
            errors_naming(output, job.progress.folder),
        ):
            try:
                job.progress.begin(job.key)
                found = _run(job, volume, segmenter, run, processes, notify)
            except Exception:
                job.progress.discard_if_empty()
                raise
            shutil.rmtree(job.progress.folder)
    return found


def _planned(
    source: Path,
    output: Path,
    checkpoint: Path,
    options: VolumeOptions,
    volume: Volume,
    segmenter: VolumeSegmenter,
    notify: Callable[[str], None],
) -> VolumeJob:
    """What is to be done, once all that is known before has been found in order."""
    from lotus.imaging.ome_zarr_metadata import label_classes

    spacing = volume_spacing(source, volume, segmenter, options.voxel_size_um, notify)
    _note_kind(source, volume, segmenter, options, notify)
    try:
        limits = limits_of(volume, segmenter.preprocessing)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    progress = Progress(output.with_name(f".{output.name}.segmenting"))
    key = _key(source, checkpoint, options, spacing)
    store = volume_store(
        output,
        progress.of_file(key) / "volume",
        volume.shape,
        "uint8",
        spacing,
        classes=label_classes(segmenter.class_names),
        version=options.version,
    )
    return VolumeJob(source, checkpoint, options, limits, store, progress, key)


def _run(
    job: VolumeJob,
    volume: Volume,
    segmenter: VolumeSegmenter,
    run: Map,
    processes: int | None,
    notify: Callable[[str], None],
) -> SegmentedVolume:
    depth, step = volume.shape[0], job.store.depth
    blocks = range(-(-depth // step))
    left = job.progress.unfinished(job.key, blocks)
    if not left and not job.store.is_begun and not job.store.path.exists():
        # Somebody took it away when it was in its place.
        job.progress.forget(job.key)
        left = [*blocks]
    if left:
        starts = [number * step for number in left]
        _forecast(job, volume, segmenter, starts, processes, notify)
        job.store.begin()
        missing = sum(min(step, depth - start) for start in starts)
        with tqdm(
            total=depth, initial=depth - missing, desc="segment", unit="slice", disable=None
        ) as bar:
            for finished in run(partial(segment_block, job=job), starts):
                bar.update(finished)
    if job.store.is_begun:
        job.store.finish()
    facts = job.progress.facts(job.key, blocks)
    voxels = [sum(counts) for counts in zip(*(each["voxels"] for each in facts), strict=True)]
    names = ("background", *segmenter.class_names)
    not_finite = sum(each["not_finite"] for each in facts)
    return SegmentedVolume(dict(zip(names, voxels, strict=True)), not_finite)


def _forecast(
    job: VolumeJob,
    volume: Volume,
    segmenter: VolumeSegmenter,
    starts: Sequence[int],
    processes: int | None,
    notify: Callable[[str], None],
) -> None:
    """Say what it will take, and refuse what the disk does not hold."""
    ahead = forecast(volume, segmenter, job.limits, job.store, starts)
    at_a_time = min(processes or 1, len(starts))
    seconds = ahead.seconds / len(starts) * -(-len(starts) // at_a_time)
    where = f"{at_a_time} at a time" if processes else "if they were done one after the other"
    notify(
        f"{job.source.name}: {' x '.join(map(str, volume.shape))} voxels, {len(starts)} blocks of "
        f"{job.store.depth} slices to do, {where}: about {in_time(seconds)}, "
        f"{in_bytes(ahead.memory_bytes)} of memory each, {in_bytes(ahead.disk_bytes)} of disk"
    )
    ahead.refuse_small_disk(job.store.path)


def _note_kind(
    source: Path,
    volume: Volume,
    segmenter: VolumeSegmenter,
    options: VolumeOptions,
    notify: Callable[[str], None],
) -> None:
    """Say what is unusual about a volume."""
    if volume.shape[0] == 1 and segmenter.slices > 1:
        notify(
            f"note: {source.name} has one slice; the network, which sees {segmenter.slices}, gets "
            f"it {segmenter.slices} times"
        )
    if is_zarr(source):
        from lotus.imaging.ome_zarr import OmeZarr

        absent, number = OmeZarr.open(source, dict(options.at)).absent_chunks
        if absent:
            notify(
                f"note: {source.name}: {absent} of {number} chunks have no file and are read as "
                "their fill value; if it was not written to its end, stop here"
            )


def _key(source: Path, checkpoint: Path, options: VolumeOptions, spacing: Spacing) -> str:
    """What decides about the result, as a digest."""
    networks = [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint_files(checkpoint)
    ]
    content = [str(source.resolve()), last_changes(source), networks, asdict(options), spacing]
    text = json.dumps([version("lotus-bone"), *content])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
