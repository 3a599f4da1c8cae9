"""Class maps of ROIs of several domains: each goes to the head of the domain that it shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label
from tqdm import tqdm

from data_modules.manifest import Record
from data_modules.patients import sharing_tissue
from lotus.atomic import atomic_path
from lotus.batch import RoiPrediction
from lotus.imaging import Slide, object_features, write_features, write_image, write_label_map
from lotus.imaging.file_names import image_stem
from lotus.imaging.geojson import Feature
from lotus.inference.causes import Causes
from lotus.inference.precision import Precision
from lotus.inference.prediction import check_channels, open_pixels
from lotus.inference.roi_segmenter import RoiSegmenter
from lotus.inference.segment import images_to_segment, refuse_shared_stems
from lotus.inference.spacing import image_spacing, to_model
from lotus.runs.class_maps import ClassMap, write_class_maps
from lotus.tasks.routed_roi import Tiling, roi_grid, segment_roi
from lotus.transforms.resampling import Spacing
from lotus.windows import windows_at_once

COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0))
"""Of classes, by Okabe and Ito (2008)."""
OPACITY = 0.45


@dataclass(frozen=True)
class RoiOptions:
    """How ROIs are cut and predicted.

    Attributes:
        tiling: How tiles lie; None: as tested.
        batch_size: Tiles predicted at once; None: 1 on a CPU, 8 on a GPU.
        pixel_size_um: Side of a pixel in µm; goes before what a file states. None: from the file.
        resample: Resample ROIs to the pixel size that the network was trained in; what is found is
            brought back.
        precision: "32" or "bf16". None: as tested.
    """

    tiling: Tiling | None = None
    batch_size: int | None = None
    pixel_size_um: float | None = None
    resample: bool = True
    precision: Precision | None = None


class Roi(NamedTuple):
    """A ROI to be segmented.

    Attributes:
        image: Its file.
        pixel_size_um: Side of a pixel where it is known besides the file, before which it goes.
    """

    image: Path
    pixel_size_um: float | None = None


def unknown_rois(
    records: Sequence[Record], domains: Collection[str], known: Collection[str]
) -> list[Roi]:
    """The ROIs of a manifest that a network may be asked about: annotated or not.

    Args:
        records: Of the manifest.
        domains: That the network knows; images of other modalities are left out.
        known: Patients whom its weights know.

    Raises:
        ValueError: There is none.
    """
    own = [record for record in records if record.modality in domains]
    strangers = {record.patient for record in own}
    strangers -= sharing_tissue(strangers, known)
    found = [Roi(r.image, r.pixel_size_um) for r in own if r.patient in strangers]
    if not found:
        raise ValueError(
            f"the manifest has {len(own)} ROIs of {', '.join(domains)}, and all are of patients "
            "whom this network was trained or chosen on; give the images themselves to segment "
            "them all the same"
        )
    return found


def segment_rois(
    segmenter: RoiSegmenter,
    given: Path | Sequence[Roi],
    output_dir: Path,
    options: RoiOptions | None = None,
    notify: Callable[[str], None] = print,
) -> list[ClassMap]:
    """Segment a ROI, or every one of a folder; a bad one does not keep the others from it.

    Of every ROI there are ``STEM_classes.ome.tif`` (class of each pixel), ``STEM.geojson`` (regions
    for QuPath) and ``STEM_overlay.png``; the table ``class_maps.csv`` says of all of them which
    domain they were given, how surely, and what their values mean.

    Args:
        segmenter: The trained network.
        given: An image file, a folder of them, or ROIs of any folders, whose names differ.
        output_dir: Folder of the results, another than that of the images.
        options: How to go about it.
        notify: Receives lines the user should read: uncertain domains, pixel sizes that differ.

    Raises:
        FileNotFoundError: No such image.
        ValueError: No image in the folder, or, after all others were segmented, ROIs that could not
            be; the message names them by their causes.
    """
    options = options or RoiOptions()
    if isinstance(given, Path):
        rois = [Roi(image) for image in images_to_segment(given, output_dir)]
    else:
        rois = [*given]
        refuse_shared_stems(roi.image for roi in rois)
    maps, problems = [], Causes()
    for image, size in tqdm(rois, unit="ROI", disable=None):
        own = options if options.pixel_size_um is not None else replace(options, pixel_size_um=size)
        try:
            maps.append(_segment(segmenter, image, output_dir, own, notify))
        except (ValueError, FileNotFoundError, PermissionError) as error:
            problems.add(image, str(error))
    if maps:
        write_class_maps(output_dir, maps)
    if failed := problems.count():
        raise ValueError(
            f"{failed} of {len(rois)} ROIs could not be segmented, the other {len(maps)} are in "
            f"{output_dir}: {'; '.join(problems.summary())}"
        )
    return maps


def _segment(
    segmenter: RoiSegmenter,
    image: Path,
    output_dir: Path,
    options: RoiOptions,
    notify: Callable[[str], None],
) -> ClassMap:
    with Slide(image) as slide:
        check_channels(slide, segmenter)
        spacing = image_spacing(slide, options.pixel_size_um, notify)
        grids = to_model(slide, spacing, segmenter, options.resample, notify)
        height, width = slide.shape if grids is None else grids.network
        try:
            grid = roi_grid((height, width), segmenter.tile, options.tiling or segmenter.tiling)
        except ValueError as error:
            raise ValueError(f"{image}: {error}") from error
        read_rows, normalise = open_pixels(slide, segmenter, grids)
        pixels = normalise(read_rows(0, height))
    found = segment_roi(
        segmenter.network,
        pixels,
        grid,
        in_channels=segmenter.in_channels,
        batch_size=options.batch_size or windows_at_once(segmenter.device),
        bfloat16=(options.precision or segmenter.precision) == "bf16",
        back=np.asarray if grids is None else grids.back,
    )
    shown = pixels if grids is None else grids.back(pixels)
    classes = segmenter.class_names[found["domain"]]
    written = _write(output_dir, image, found, classes, shown, spacing)
    if found["uncertain"]:
        notify(
            f"warning: {image.name} may be of no domain that this network knows: "
            f"{found['domain']} with certainty {found['certainty']:.2f}, "
            f"{found['uncertain_tiles']} of {found['tiles']} tiles are uncertain"
        )
    elif found["uncertain_tiles"]:
        notify(
            f"note: {image.name}: {found['uncertain_tiles']} of {found['tiles']} tiles may not be "
            f"{found['domain']}"
        )
    return written


def _write(
    folder: Path,
    image: Path,
    found: RoiPrediction,
    class_names: list[str],
    pixels: NDArray[np.float32],
    spacing: Spacing | None,
) -> ClassMap:
    folder.mkdir(parents=True, exist_ok=True)
    stem = image_stem(image)
    ends = ("_classes.ome.tif", ".geojson", "_overlay.png")
    finals = [folder / f"{stem}{end}" for end in ends]
    with ExitStack() as together:
        # All of a ROI's files appear, or none does.
        drafts = [together.enter_context(atomic_path(final)) for final in finals]
        write_label_map(drafts[0], found["classes"], spacing)
        write_features(drafts[1], _regions(found["classes"], class_names, spacing))
        write_image(drafts[2], class_overlay(pixels, found["classes"]))
    return ClassMap.of(found, class_names, image=image, labels=finals[0])


def _regions(
    classes: NDArray[np.uint8], class_names: list[str], spacing: Spacing | None
) -> Iterator[Feature]:
    """Every connected region of every class, as an annotation that can be corrected in QuPath."""
    for value, name in enumerate(class_names, start=1):
        regions = label(classes == value, connectivity=1).astype(np.int32)
        yield from object_features(regions, name, spacing_um=spacing, object_type="annotation")


def class_overlay(pixels: NDArray[np.float32], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes in colours over a ROI.

    Args:
        pixels: (C, Y, X) in [0, 1], C is 1 or 3.
        classes: (Y, X), 0 is not coloured.

    Returns:
        RGB (Y, X, 3).
    """
    picture = np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0) * 255.0
    colours = np.array(COLOURS)[(classes.astype(np.int64) - 1) % len(COLOURS)]
    share = np.where(classes > 0, OPACITY, 0.0)[..., None]
    drawn: NDArray[np.uint8] = np.clip(
        (1 - share) * picture + share * colours + 0.5, 0, 255
    ).astype(np.uint8)
    return drawn
