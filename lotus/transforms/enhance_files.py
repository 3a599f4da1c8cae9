"""The enhancement applied to files: slice by slice, in parallel, and on from where it stopped."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lotus.atomic import errors_naming, exclusively
from lotus.imaging import Volume, open_volume
from lotus.imaging.file_names import image_stem
from lotus.imaging.volume_stores import slice_stores
from lotus.imaging.voxels import Spacing, VolumeStore
from lotus.process_pool import Map, in_this_process
from lotus.progress import Progress
from lotus.transforms.enhance_plan import EnhancementPlan, SliceFile, settings_of
from lotus.transforms.enhancement import SRMicroCTEnhancement
from lotus.transforms.padding import without_padding
from lotus.transforms.slice_facts import (
    SliceFacts,
    bone_fraction,
    problem_of,
    refuse_unusable,
    suspicions,
    write_slice_table,
)

BLOCK = 4
"""Slices that a process takes at a time: enough to open a long file for, few enough to repeat."""


@dataclass(frozen=True)
class Enhanced:
    """What was written.

    Attributes:
        files: Images and volumes.
        facts: Of every slice, in the order of the files.
    """

    files: int
    facts: list[SliceFacts]

    @property
    def suspects(self) -> list[str]:
        """What looks wrong in each slice; empty where nothing does."""
        return suspicions(self.facts)

    @property
    def blank(self) -> int:
        """Slices of volumes that are constant or without values, written as 0."""
        return sum(fact.is_blank for fact in self.facts)

    @property
    def padded(self) -> Counter[float]:
        """How many slices have padding around the field of view, by its value."""
        return Counter(fact.padding for fact in self.facts if fact.padding is not None)


@dataclass(frozen=True)
class Block:
    """Slices of one file that are enhanced one after the other.

    Attributes:
        file: The file.
        number: Of the file, from 0.
        key: What its progress is kept under.
        shape: (Z, Y, X) of its volume.
        spacing_um: Size of a voxel.
        slices: Numbers from 0.
        progress: Where to note what is finished.
    """

    file: SliceFile
    number: int
    key: str
    shape: tuple[int, int, int]
    spacing_um: Spacing
    slices: tuple[int, ...]
    progress: Progress

    def stores(self) -> tuple[VolumeStore, VolumeStore]:
        """Where the enhanced slices and the bone masks go."""
        hidden = self.progress.of_file(self.key)
        return slice_stores(self.file.image, self.file.bone, hidden, self.shape, self.spacing_um)


def enhance_files(
    plan: EnhancementPlan, enhancement: SRMicroCTEnhancement, run: Map = in_this_process
) -> Enhanced:
    """Enhance every slice of the planned files, one slice in a process's memory at a time.

    What a run that was stopped had finished is kept, and the result is the same to the byte. It is
    kept only for the same settings, and of files that have not changed.

    Args:
        plan: What is read and written.
        enhancement: What is done to a slice.
        run: Where blocks of slices are worked on.

    Raises:
        FileNotFoundError: A source is not there.
        ValueError: A file cannot be used, or another process writes the same.
    """
    # Opening every file first finds a bad one before anything is written.
    volumes = [_header(file) for file in plan.files]
    progress = Progress(plan.hidden)
    with exclusively(plan.hidden, plan.output), errors_naming(plan.output, plan.hidden):
        try:
            progress.begin(settings_of(enhancement))
            facts = _run(plan, volumes, progress, enhancement, run)
        except Exception:
            progress.discard_if_empty()
            raise
        write_slice_table(plan.table, facts)
        shutil.rmtree(plan.hidden)
    return Enhanced(len(plan.files), facts)


def _header(file: SliceFile) -> tuple[tuple[int, int, int], Spacing]:
    with open_volume(file.source) as volume:
        depth, height, width = volume.spacing_um
        given = file.pixel_size_um
        return volume.shape, (depth or file.slice_spacing_um, height or given, width or given)


def _run(
    plan: EnhancementPlan,
    volumes: Sequence[tuple[tuple[int, int, int], Spacing]],
    progress: Progress,
    enhancement: SRMicroCTEnhancement,
    run: Map,
) -> list[SliceFacts]:
    wholes = [
        Block(file, number, file.key, shape, spacing, tuple(range(shape[0])), progress)
        for number, (file, (shape, spacing)) in enumerate(zip(plan.files, volumes, strict=True))
    ]
    left = {whole.number: _begin(whole) for whole in wholes}
    blocks = [
        replace(whole, slices=tuple(left[whole.number][start : start + BLOCK]))
        for whole in wholes
        for start in range(0, len(left[whole.number]), BLOCK)
    ]
    waiting = Counter(block.number for block in blocks)
    total = sum(len(whole.slices) for whole in wholes)
    done = total - sum(map(len, left.values()))
    with tqdm(total=total, initial=done, desc="enhance", unit="slice", disable=None) as bar:
        for block in run(partial(enhance_block, enhancement=enhancement), blocks):
            bar.update(len(block.slices))
            waiting[block.number] -= 1
            if not waiting[block.number]:
                _finish(wholes[block.number])
    return [
        SliceFacts(**fact) for whole in wholes for fact in progress.facts(whole.key, whole.slices)
    ]


def _begin(whole: Block) -> list[int]:
    """Make ready for the slices of a file that are left; returns their numbers."""
    stores = whole.stores()
    left = whole.progress.unfinished(whole.key, whole.slices)
    if not left and any(not store.is_begun and not store.path.exists() for store in stores):
        # Somebody took it away when it was in its place.
        whole.progress.forget(whole.key)
        left = [*whole.slices]
    if left:
        for store in stores:
            store.begin()
    else:
        _finish(whole)
    return left


def _finish(whole: Block) -> None:
    """Put in its place what is not there yet; the run may have been stopped in between."""
    for store in whole.stores():
        if store.is_begun:
            store.finish()


def enhance_block(block: Block, enhancement: SRMicroCTEnhancement) -> Block:
    """Enhance the slices of a block, in any process, and note each that is written.

    Args:
        block: The slices.
        enhancement: What is done to them.

    Returns:
        The block.

    Raises:
        ValueError: A slice cannot be read, or a lone image holds nothing to enhance.
    """
    image, bone = block.stores()
    with open_volume(block.file.source) as volume:
        for index in block.slices:
            enhanced, mask, facts = _enhance(block, volume, index, enhancement)
            image.write(index, enhanced[None])
            bone.write(index, mask[None].astype(np.uint8) * np.uint8(255))
            block.progress.note(block.key, index, asdict(facts))
    return block


def _enhance(
    block: Block, volume: Volume, index: int, enhancement: SRMicroCTEnhancement
) -> tuple[NDArray[np.float32], NDArray[np.bool_], SliceFacts]:
    file = block.file
    plane, padding = without_padding(volume.read(index), enhancement.padding_value)
    facts = SliceFacts(
        name=image_stem(file.image),
        slice=index,
        source=str(file.source),
        bone=str(file.bone),
        stack=file.stack,
        padding=padding,
    )
    # Volumes often begin and end with empty slices; a lone image has to hold something.
    is_alone = block.shape[0] == 1 and not file.is_part
    try:
        found = enhancement.enhance(plane)
        if is_alone:
            refuse_unusable(found, enhancement.opening_px)
    except ValueError as error:
        if is_alone:
            raise ValueError(f"{file.source}: {error}") from error
        blank = np.zeros(plane.shape, np.float32)
        return blank, blank.astype(np.bool_), replace(facts, problem=str(error))
    facts = replace(
        facts,
        route=found.route,
        bone_fraction=bone_fraction(found.bone, plane),
        grey_low=found.grey_low,
        grey_high=found.grey_high,
        problem=problem_of(found, plane),
    )
    return found.image, found.bone, facts
