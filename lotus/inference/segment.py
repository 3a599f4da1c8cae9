"""Segmentation of images, folders of images and slides larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from tqdm import tqdm

from lotus.imaging import Slide
from lotus.imaging.file_names import SLIDE_SUFFIXES, image_stem, images_in
from lotus.inference.outputs import SegmentedObjects, write_outputs
from lotus.inference.precision import Precision
from lotus.inference.prediction import Predictor, check_channels, open_pixels
from lotus.inference.segmenter import Segmenter
from lotus.inference.spacing import image_spacing, to_model
from lotus.inference.windows import blend_windows, read_ahead, read_bands, window_grid


@dataclass(frozen=True)
class SegmentOptions:
    """How images are cut, predicted and measured.

    Attributes:
        window: Side of the square windows in pixels, a multiple of 32.
        overlap: Share of a window that its neighbour covers as well, in [0, 1).
        batch_size: Windows predicted at once; None: 1 on a CPU, where larger batches only cost
            memory and time to fetch it from the system, and 8 on a GPU.
        pixel_size_um: Side of a pixel in µm; goes before what a file states. None: from the file.
        resample: Resample images to the pixel size that the network was trained in; what is found
            is brought back.
        precision: "32" or "bf16".
        progress: Show a progress bar on a terminal.
    """

    window: int = 512
    overlap: float = 0.25
    batch_size: int | None = None
    pixel_size_um: float | None = None
    resample: bool = True
    precision: Precision = "32"
    progress: bool = True

    def __post_init__(self) -> None:
        """Check the values before any image is opened.

        Raises:
            ValueError: A value outside its range.
        """
        window_grid((1, 1), self.window, self.overlap)
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch size is {self.batch_size}; expected at least 1 window")
        if self.pixel_size_um is not None and not 0.0 < self.pixel_size_um < float("inf"):
            raise ValueError(f"pixel size is {self.pixel_size_um} µm; expected a positive number")
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision is {self.precision!r}; expected one of {get_args(Precision)}"
            )

    def windows_at_once(self, device: torch.device) -> int:
        """The batch size on a device."""
        return self.batch_size or (1 if device.type == "cpu" else 8)


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
        image: TIFF, OME-TIFF, SVS, PNG or JPEG file.
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
        size = slide.shape if grids is None else grids.network
        grid = window_grid(size, options.window, options.overlap)
        batch_size = options.windows_at_once(segmenter.device)
        output_dir.mkdir(parents=True, exist_ok=True)
        with tqdm(
            total=len(grid),
            desc=image.name,
            unit="window",
            leave=False,
            disable=None if options.progress else True,
        ) as bar:
            predict = Predictor(segmenter, normalise, options.precision, bar.update)
            pixels = read_ahead(read_bands(read_rows, grid))
            found = write_outputs(
                output_dir,
                image_stem(image),
                read_ahead(blend_windows(predict, pixels, grid, batch_size)),
                shape=size,
                scheme=segmenter.instances,
                class_names=segmenter.class_names,
                halo=max(grid.window[0] // 8, 1),
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
        notify: As for :func:`segment_image`.

    Returns:
        What was found in each image.

    Raises:
        ValueError: No image in the folder, two of one name, or, after all others were segmented,
            images that could not be; the message names each and says why.
    """
    images = _images_in(folder, output_dir)
    found: dict[Path, SegmentedObjects] = {}
    problems: list[str] = []
    for image in images:
        try:
            found[image] = segment_image(segmenter, image, output_dir, options, notify)
        except (ValueError, FileNotFoundError, PermissionError) as error:
            problems.append(str(error))
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(images)} images could not be segmented, the other "
            f"{len(found)} are in {output_dir}: {'; '.join(problems)}"
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
