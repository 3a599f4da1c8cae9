"""Segmentation of images, folders of images and slides larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from lotus.imaging import Slide
from lotus.imaging.file_names import SLIDE_SUFFIXES, image_stem, images_in
from lotus.inference.causes import Causes
from lotus.inference.outputs import SegmentedObjects, write_outputs
from lotus.inference.precision import Precision
from lotus.inference.prediction import Predictor, check_channels, open_pixels
from lotus.inference.read_ahead import read_ahead
from lotus.inference.segmenter import Segmenter
from lotus.inference.spacing import image_spacing, to_model
from lotus.windows import (
    OVERLAP,
    WINDOW,
    WindowGrid,
    blend_windows,
    read_bands,
    window_grid,
    windows_at_once,
)


@dataclass(frozen=True)
class SegmentOptions:
    """How images are cut, predicted and measured.

    Attributes:
        window: Side of the square windows in pixels, a multiple of 32. None: as tested.
        overlap: Share of a window that its neighbour covers as well, in [0, 1). None: as tested.
        batch_size: Windows predicted at once; None: 1 on a CPU, 8 on a GPU.
        pixel_size_um: Side of a pixel in µm; goes before what a file states. None: from the file.
        resample: Resample images to the pixel size that the network was trained in; what is found
            is brought back.
        precision: "32" or "bf16". None: as tested, bf16 only where the device computes it.
        progress: Show a progress bar on a terminal.
    """

    window: int | None = None
    overlap: float | None = None
    batch_size: int | None = None
    pixel_size_um: float | None = None
    resample: bool = True
    precision: Precision | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values before any image is opened.

        Raises:
            ValueError: A value outside its range.
        """
        _grid((1, 1), self, WINDOW, OVERLAP)
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch size is {self.batch_size}; expected at least 1 window")
        if self.pixel_size_um is not None and not 0.0 < self.pixel_size_um < float("inf"):
            raise ValueError(f"pixel size is {self.pixel_size_um} µm; expected a positive number")
        if self.precision not in (None, *get_args(Precision)):
            raise ValueError(
                f"precision is {self.precision!r}; expected one of {get_args(Precision)}"
            )

    def grid(self, size: tuple[int, int], segmenter: Segmenter) -> WindowGrid:
        """The windows of an image of (Y, X) pixels."""
        return _grid(size, self, segmenter.window, segmenter.overlap)

    def precision_of(self, segmenter: Segmenter) -> Precision:
        """What a segmenter computes in."""
        return self.precision or segmenter.precision

    def batch_size_of(self, segmenter: Segmenter) -> int:
        """How many windows go through a segmenter at once."""
        return self.batch_size or windows_at_once(segmenter.device)


def _grid(
    size: tuple[int, int], options: SegmentOptions, window: int, overlap: float
) -> WindowGrid:
    return window_grid(
        size,
        window if options.window is None else options.window,
        overlap if options.overlap is None else options.overlap,
    )


def segment_image(
    segmenter: Segmenter,
    image: Path,
    output_dir: Path,
    options: SegmentOptions | None = None,
    notify: Callable[[str], None] = print,
) -> SegmentedObjects:
    """Segment one image or slide of any size and write what was found.

    ``STEM_labels.tif`` (label map), ``STEM_probability.tif`` (foreground, 0-255), ``STEM.geojson``
    (for QuPath) and ``STEM_objects.csv`` appear in ``output_dir`` together, or not at all.
    Memory is bounded by the width of the image times a few windows, however high it is, unless
    the preprocessing needs the image as a whole.

    Args:
        segmenter: The trained network.
        image: TIFF, OME-TIFF, SVS, PNG, JPEG or BMP file.
        output_dir: Folder of the results, made if it is missing.
        options: How to go about it.
        notify: Receives lines the user should read: a pixel size that differs from the file's or
            from that of the training images; objects too large to be measured.

    Raises:
        FileNotFoundError: No such image.
        ValueError: An image that cannot be read or used (constant, no finite value, channels that
            do not fit), or an output that is not a folder.
    """
    options = options or SegmentOptions()
    _check_folder(output_dir)
    with Slide(image) as slide:
        check_channels(slide, segmenter)
        spacing = image_spacing(slide, options.pixel_size_um, notify)
        grids = to_model(slide, spacing, segmenter, options.resample, notify)
        read_rows, normalise = open_pixels(slide, segmenter, grids)
        grid = options.grid(slide.shape if grids is None else grids.network, segmenter)
        batch_size = options.batch_size_of(segmenter)
        output_dir.mkdir(parents=True, exist_ok=True)
        with tqdm(
            total=len(grid),
            desc=image.name,
            unit="window",
            leave=False,
            disable=None if options.progress else True,
        ) as bar:
            predict = Predictor(segmenter, normalise, options.precision_of(segmenter), bar.update)
            pixels = read_ahead(read_bands(read_rows, grid))
            found = write_outputs(
                output_dir,
                image_stem(image),
                read_ahead(blend_windows(predict, pixels, grid, batch_size)),
                grid=grid,
                scheme=segmenter.instances,
                class_names=segmenter.class_names,
                spacing_um=spacing,
                grids=grids,
            )
    if found.unmeasured:
        notify(
            f"note: {image.name}: {found.unmeasured} objects are too large to be outlined; they "
            "are in the label map, and in the table with area and place only"
        )
    return found


def segment_folder(
    segmenter: Segmenter,
    folder: Path,
    output_dir: Path,
    options: SegmentOptions | None = None,
    notify: Callable[[str], None] = print,
) -> dict[Path, SegmentedObjects]:
    """Segment every image of a folder; a bad one does not keep the others from being segmented.

    Args:
        segmenter: The trained network.
        folder: Its image files are segmented, not those of folders inside.
        output_dir: Folder of the results, another than ``folder``.
        options: How to go about it.
        notify: As for :func:`segment_image`. What holds for several images is said of the first,
            and at the end of all.

    Returns:
        What was found in each image.

    Raises:
        ValueError: No image in the folder, two of one name, or, after all others were segmented,
            images that could not be; the message names them by their causes.
    """
    images = _images_in(folder, output_dir)
    found: dict[Path, SegmentedObjects] = {}
    notes, problems = Causes(), Causes()

    def note(image: Path, line: str) -> None:
        if notes.add(image, line):
            notify(line)

    for image in images:
        try:
            say = partial(note, image)
            found[image] = segment_image(segmenter, image, output_dir, options, say)
        except (ValueError, FileNotFoundError, PermissionError) as error:
            problems.add(image, str(error))
    for line in notes.summary(least=2):
        notify(line)
    if failed := problems.count():
        raise ValueError(
            f"{failed} of {len(images)} images could not be segmented, the other {len(found)} are "
            f"in {output_dir}: {'; '.join(problems.summary())}"
        )
    return found


def _check_folder(output_dir: Path) -> None:
    if output_dir.exists() and not output_dir.is_dir():
        raise ValueError(f"{output_dir} is a file; the output is a folder")


def _images_in(folder: Path, output_dir: Path) -> list[Path]:
    _check_folder(output_dir)
    if output_dir.resolve() == folder.resolve():
        raise ValueError(f"{folder} is input and output; write to another folder")
    images = images_in(folder, SLIDE_SUFFIXES)
    if not images:
        raise ValueError(f"{folder} has no image; expected files {', '.join(SLIDE_SUFFIXES)}")
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image_stem(image), image)
        if other is not image:
            raise ValueError(
                f"{other.name} and {image.name} in {folder} would share their result files; "
                "rename one"
            )
    return images
