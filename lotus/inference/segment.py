"""Segmentation of images, folders of images and slides larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from lotus.imaging.file_names import SLIDE_SUFFIXES, image_stem, images_in
from lotus.inference.blended import blended_bands
from lotus.inference.causes import Causes
from lotus.inference.options import SegmentOptions
from lotus.inference.outputs import SegmentedObjects, write_outputs
from lotus.inference.segmenter import Segmenter


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
    with blended_bands(segmenter, image, options, notify) as blended:
        output_dir.mkdir(parents=True, exist_ok=True)
        found = write_outputs(
            output_dir,
            image_stem(image),
            blended.bands,
            grid=blended.grid,
            scheme=segmenter.instances,
            class_names=segmenter.class_names,
            spacing_um=blended.spacing_um,
            grids=blended.grids,
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
    images = images_to_segment(folder, output_dir)
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


def images_to_segment(given: Path, output_dir: Path) -> list[Path]:
    """The images that a file or a folder means, each with results of its own.

    Args:
        given: An image file, or a folder, of which those of folders inside are left out.
        output_dir: Folder of the results, another than a folder of images.

    Raises:
        ValueError: No image in the folder, two of one name, or an output that is none.
    """
    _check_folder(output_dir)
    if not given.is_dir():
        return [given]
    if output_dir.resolve() == given.resolve():
        raise ValueError(f"{given} is input and output; write to another folder")
    images = images_in(given, SLIDE_SUFFIXES)
    if not images:
        raise ValueError(f"{given} has no image; expected files {', '.join(SLIDE_SUFFIXES)}")
    refuse_shared_stems(images)
    return images


def refuse_shared_stems(images: Iterable[Path]) -> None:
    """Refuse images that would share their result files.

    Args:
        images: Of one output folder.

    Raises:
        ValueError: Two have the same name, their suffixes apart.
    """
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image_stem(image), image)
        if other is not image:
            raise ValueError(f"{other} and {image.name} would share their result files; rename one")
