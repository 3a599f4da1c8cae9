"""The enhancement applied to files: an image, a volume, or a folder of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lotus.imaging import open_volume, volume_writer
from lotus.imaging.file_names import IMAGE_SUFFIXES, TIFF_SUFFIXES, images_in
from lotus.transforms.enhancement import SRMicroCTEnhancement
from lotus.transforms.padding import without_padding


@dataclass(frozen=True)
class Enhanced:
    """What was written.

    Attributes:
        files: Images and volumes.
        slices: Slices of all of them.
        blank: Slices of volumes that are constant or without values, written as 0.
        padded: How many slices have padding around the field of view, by its value.
    """

    files: int
    slices: int
    blank: int
    padded: Counter[float]


def enhance_files(
    source: Path, output: Path, mask: Path | None, enhancement: SRMicroCTEnhancement
) -> Enhanced:
    """Enhance every slice of a file or of the files in a folder, one slice in memory at a time.

    Args:
        source: Image, multi-page TIFF volume, or a folder of them.
        output: TIFF of float32 in [0, 1] to write; of a folder, a folder with one per file.
        mask: Likewise for the bone masks, uint8 with 0 and 255; None to leave them out.
        enhancement: What is done to a slice.

    Raises:
        FileNotFoundError: The source is not there, or a folder without images.
        ValueError: A file cannot be used, or something would be overwritten.
    """
    sources = _sources(source)
    targets = _targets(source, sources, output)
    masks: Sequence[Path | None] = [None] * len(sources)
    if mask is not None:
        masks = _targets(source, sources, mask)
    _refuse_overwriting(sources, [*targets, *filter(None, masks)])
    # Opening every file first finds a bad one before anything is written.
    total = sum(_count_slices(path) for path in sources)
    blank, padded = 0, Counter[float]()
    with tqdm(total=total, desc="enhance", unit="slice", disable=None) as bar:
        for files in zip(sources, targets, masks, strict=True):
            blank += _enhance_file(*files, enhancement, padded, bar.update)
    return Enhanced(len(sources), total, blank, padded)


def _sources(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = images_in(path)
    if not files:
        raise FileNotFoundError(f"{path} holds no image; expected {', '.join(IMAGE_SUFFIXES)}")
    return files


def _targets(root: Path, sources: list[Path], output: Path) -> list[Path]:
    """The file to write for each source: ``output`` itself, or one of its own name within it."""
    if not root.is_dir():
        if output.suffix.lower() not in TIFF_SUFFIXES:
            raise ValueError(f"{output} is no TIFF name; expected one ending in .tif")
        return [output]
    targets: dict[Path, Path] = {}
    for source in sources:
        is_tiff_name = source.suffix.lower() in TIFF_SUFFIXES
        target = output / (source.name if is_tiff_name else f"{source.stem}.tif")
        if target in targets:
            raise ValueError(
                f"{targets[target].name} and {source.name} would both become {target.name}; "
                "rename one of them"
            )
        targets[target] = source
    return list(targets)


def _refuse_overwriting(sources: list[Path], targets: list[Path]) -> None:
    taken = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in taken:
            raise ValueError(
                f"{target} is an input or is written twice; give --output and --mask other places"
            )
        taken.add(target.resolve())


def _enhance_file(
    source: Path,
    target: Path,
    mask: Path | None,
    enhancement: SRMicroCTEnhancement,
    padded: Counter[float],
    advance: Callable[[], object],
) -> int:
    """Write the enhanced slices (and bone masks) of one file; counts paddings, returns blanks."""
    blank = 0
    with ExitStack() as stack:
        volume = stack.enter_context(open_volume(source))
        shape, spacing = volume.shape, volume.spacing_um
        write = stack.enter_context(volume_writer(target, shape, np.float32, spacing))
        write_mask = mask and stack.enter_context(volume_writer(mask, shape, np.uint8, spacing))
        for stored in volume.planes:
            plane, padding = without_padding(stored, enhancement.padding_value)
            if padding is not None:
                padded[padding] += 1
            try:
                enhanced, bone = enhancement.enhance(plane)
            except ValueError as error:
                # Volumes often begin and end with empty slices; a lone image has to hold something.
                if shape[0] == 1:
                    raise ValueError(f"{source}: {error}") from error
                enhanced, bone = np.zeros(plane.shape, np.float32), np.zeros(plane.shape, np.bool_)
                blank += 1
            write(enhanced)
            if write_mask:
                write_mask(bone.astype(np.uint8) * np.uint8(255))
            advance()
    return blank


def _count_slices(path: Path) -> int:
    with open_volume(path) as volume:
        return volume.shape[0]
