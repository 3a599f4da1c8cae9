"""Enhance SR-microCT slices: stretched contrast inside bone, nothing outside."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.imaging import read_image, read_size
from lotus.imaging.file_names import IMAGE_SUFFIXES, TIFF_SUFFIXES, images_in
from lotus.imaging.image_files import decoding, is_tiff, native, refuse_truncated
from lotus.imaging.pixel_size import micrometres, tiff_pixel_size

if TYPE_CHECKING:
    from lotus.transforms.enhancement import SRMicroCTEnhancement

Spacing = tuple[float | None, float | None, float | None]

# Offsets of a classic TIFF have 32 bits; some room stays for the metadata.
CLASSIC_TIFF_BYTES = 2**32 - 2**25


@dataclass(frozen=True)
class Slices:
    """The slices of a file, read one at a time.

    Attributes:
        shape: (Z, Y, X) in pixels; Z is 1 for a single image.
        spacing_um: Pixel size (Z, Y, X) in µm, None where the file does not state it.
        planes: Yields every (Y, X) slice once, in the dtype of the file.
    """

    shape: tuple[int, int, int]
    spacing_um: Spacing
    planes: Iterator[NDArray[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus enhance``."""
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="image, multi-page TIFF volume or folder of them"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="float32 TIFF in [0, 1], or a folder of them"
    )
    parser.add_argument("--mask", type=Path, help="also write the bone masks here (0 and 255)")
    parser.add_argument(
        "--cluster",
        choices=("brightest", "smallest"),
        default="brightest",
        help="k-means cluster that is bone in slices of negative grey values "
        "(smallest: as the original authors)",
    )
    parser.add_argument(
        "--opening-px",
        type=int,
        default=20,
        metavar="N",
        help="bone thinner than this is lost; take less for larger pixels (default 20)",
    )
    parser.add_argument(
        "--closing-px",
        type=int,
        default=25,
        metavar="N",
        help="gaps up to twice this width are closed (default 25)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Enhance every slice, one in memory at a time.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: If the input is not there.
        ValueError: If it cannot be used, or the output would overwrite it.
    """
    from tqdm import tqdm

    from lotus.transforms.enhancement import SRMicroCTEnhancement

    enhancement = SRMicroCTEnhancement(
        arguments.cluster, arguments.opening_px, arguments.closing_px
    )
    sources = _sources(arguments.input)
    targets = _targets(arguments.input, sources, arguments.output)
    masks = _targets(arguments.input, sources, arguments.mask) if arguments.mask else None
    _refuse_overwriting(sources, targets + (masks or []))
    # Opening every file first finds a bad one before anything is written.
    total = sum(_count_slices(source) for source in sources)
    blank = 0
    with tqdm(total=total, desc="enhance", unit="slice", disable=None) as bar:
        for index, source in enumerate(sources):
            mask = masks[index] if masks else None
            blank += _enhance_file(source, targets[index], mask, enhancement, bar.update)
    print(f"{total} slices of {len(sources)} files enhanced to {arguments.output}")
    if blank:
        print(f"{blank} slices of volumes are blank (constant or without values): written as 0")


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
    advance: Callable[[], object],
) -> int:
    """Write the enhanced slices (and bone masks) of one file; returns how many were blank."""
    blank = 0
    with ExitStack() as stack:
        slices = stack.enter_context(_open_slices(source))
        write = stack.enter_context(_page_writer(target, slices, np.dtype(np.float32)))
        write_mask = mask and stack.enter_context(_page_writer(mask, slices, np.dtype(np.uint8)))
        for plane in slices.planes:
            try:
                enhanced, bone = enhancement.enhance(plane)
            except ValueError as error:
                # Volumes often begin and end with empty slices; a lone image has to hold something.
                if slices.shape[0] == 1:
                    raise ValueError(f"{source}: {error}") from error
                enhanced, bone = np.zeros(plane.shape, np.float32), np.zeros(plane.shape, np.bool_)
                blank += 1
            write(enhanced)
            if write_mask:
                write_mask(bone.astype(np.uint8) * np.uint8(255))
            advance()
    return blank


def _count_slices(path: Path) -> int:
    with _open_slices(path) as slices:
        return slices.shape[0]


@contextmanager
def _open_slices(path: Path) -> Iterator[Slices]:
    """Open an image or volume; only its header is read until the planes are asked for."""

    def single() -> Iterator[NDArray[Any]]:
        array = read_image(path).array
        if array.ndim != 2:
            raise ValueError(f"{path} has {array.shape[2]} channels; a microCT slice is grey")
        yield array

    if not is_tiff(path):
        yield Slices((1, *read_size(path)), (None, None, None), single())
        return
    with ExitStack() as stack:
        with decoding(path):
            tiff = stack.enter_context(tifffile.TiffFile(path))
            series = tiff.series[0]
            refuse_truncated(path, tiff)
            spacing = _spacing_um(tiff)
        if not _is_volume(path, series):
            yield Slices((1, *read_size(path)), spacing, single())
            return
        *leading, height, width = series.shape
        shape = (math.prod(leading), height, width)
        yield Slices(shape, spacing, _pages(path, series, shape))


def _is_volume(path: Path, series: tifffile.TiffPageSeries) -> bool:
    """Whether a TIFF holds several grey slices; an image is left to ``read_image``."""
    if "C" in series.axes and series.shape[series.axes.index("C")] > 1:
        raise ValueError(
            f"{path} has the axes {series.axes} {series.shape}, of which C are channels; "
            "a grey volume (Z, Y, X) is expected"
        )
    return series.axes.endswith("YX") and math.prod(series.shape[:-2]) > 1


def _pages(
    path: Path, series: tifffile.TiffPageSeries, shape: tuple[int, int, int]
) -> Iterator[NDArray[Any]]:
    """Yield the slices of a volume one by one."""
    if len(series.pages) == shape[0]:
        for index in range(shape[0]):
            with decoding(path):
                plane = native(series.asarray(key=index))
            yield plane
        return
    # ImageJ describes all slices of a large volume by one page; they lie uncompressed in a row.
    with decoding(path):
        volume = tifffile.memmap(path, mode="r").reshape(shape)
    for stored in volume:
        yield native(np.array(stored))


def _spacing_um(tiff: tifffile.TiffFile) -> Spacing:
    """Pixel size (Z, Y, X) in µm; the slices' distance is known to OME and ImageJ only."""
    depth: float | None = None
    if tiff.is_ome and tiff.ome_metadata is not None:
        pixels = ElementTree.fromstring(tiff.ome_metadata).find("{*}Image/{*}Pixels")
        stated = {} if pixels is None else pixels.attrib
        unit = micrometres(stated.get("PhysicalSizeZUnit", "µm"))
        depth = float(stated.get("PhysicalSizeZ", "nan")) * (unit or np.nan)
    elif tiff.is_imagej and tiff.imagej_metadata is not None:
        unit = micrometres(str(tiff.imagej_metadata.get("unit", "")))
        depth = float(tiff.imagej_metadata.get("spacing", "nan")) * (unit or np.nan)
    plane = tiff_pixel_size(tiff) or (None, None)
    return (depth if depth is not None and depth > 0 else None, *plane)


@contextmanager
def _page_writer(
    path: Path, slices: Slices, dtype: np.dtype[Any]
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Yield a function that appends one slice to a deflate-compressed OME-TIFF."""
    depth, height, width = slices.shape
    sizes = {
        f"PhysicalSize{axis}": size
        for axis, size in zip("ZYX", slices.spacing_um, strict=True)
        if size is not None
    }
    units = {f"{name}Unit": "µm" for name in sizes}
    ome = tifffile.OmeXml()
    stored = (depth, 1, 1, height, width, 1)
    ome.addimage(dtype, slices.shape, stored, axes="ZYX", **sizes, **units)
    fields: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    if slices.spacing_um[1] and slices.spacing_um[2]:
        fields["resolution"] = (1e4 / slices.spacing_um[2], 1e4 / slices.spacing_um[1])
        fields["resolutionunit"] = "CENTIMETER"
    is_big = depth * height * width * dtype.itemsize > CLASSIC_TIFF_BYTES
    description: bytes | None = ome.tostring(declaration=True).encode()

    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=is_big) as tiff:

        def write(plane: NDArray[Any]) -> None:
            nonlocal description
            tiff.write(plane, description=description, **fields)
            description = None

        yield write
