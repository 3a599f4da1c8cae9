"""DeepLIIF: IHC and immunofluorescence of one section (Ghahremani, Nat Mach Intell 2022).

Layout (Zenodo 4751737): ``DeepLIIF_Training_Set``, ``DeepLIIF_Validation_Set`` and
``DeepLIIF_Testing_Set`` with strips ``<tissue>_<x>_<y>_<row>_<column>[_<variant>].png``. A strip is
six square tiles side by side: IHC, haematoxylin, DAPI, Lap2, marker and segmentation. In the last,
red is a positive nucleus, blue a negative one, and green the boundary around each.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from data_modules.adapters.overrides import Overrides, finish, require_folder
from data_modules.manifest import ManifestError, MaskKind, Record, Split
from lotus.imaging.file_names import image_stem, images_in
from lotus.imaging.raster import read_image, write_image, write_label_map
from lotus.masks import without_small

FOLDERS: dict[str, Split] = {
    "DeepLIIF_Training_Set": "train",
    "DeepLIIF_Validation_Set": "val",
    "DeepLIIF_Testing_Set": "test",
}
LAYOUT = f"{', '.join(FOLDERS)} with strips of six square tiles side by side"
TILES = ("ihc", "hematoxylin", "dapi", "lap2", "marker", "segmentation")
REGION = re.compile(r"(?P<region>(?P<tissue>[A-Za-z]+)_\d+_\d+)_\d+_\d+(?:_|$)")
MODALITIES = ("ihc", "fluorescence")
MANIFESTS: dict[MaskKind, str] = {"semantic": "manifest_semantic.csv", "instances": "manifest.csv"}
POSITIVE, NEGATIVE = 1, 2
SEGMENTATION_THRESHOLD, BOUNDARY_THRESHOLD = 150, 80
SIZE_THRESHOLD = 4
"""Components of up to so many pixels are artefacts of compression, as in DeepLIIF's own reading."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Field:
    """What one strip gives: two images of one field and its nuclei.

    Attributes:
        images: uint8 images by modality, ``ihc`` ``(Y, X, 3)`` and ``fluorescence`` ``(Y, X)``.
        instances: int32 ``(Y, X)``, nuclei 1 ... N.
        classes: uint8 ``(Y, X)``: 0 background, 1 positive, 2 negative.
    """

    images: dict[str, NDArray[np.uint8]]
    instances: NDArray[np.int32]
    classes: NDArray[np.uint8]


def prepare(
    root: Path,
    output: Path,
    overrides: Overrides | None = None,
    size_threshold: int = SIZE_THRESHOLD,
) -> Path:
    """Cut all strips and write two manifests of the same images.

    ``manifest.csv`` has label maps of nuclei, ``manifest_semantic.csv`` class maps. The patient is
    the region that a strip was cut from, because the release names no patients; strips of other
    names are patients of their own. The folder is the split, except for patients whose strips lie
    in several folders: no patient is ever divided, so those are left to be drawn. The group is the
    tissue.

    Args:
        root: Folder with the three folders of the release.
        output: Folder for the manifests, images and masks.
        overrides: Values that replace those found; modality and kind of mask are fixed here.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        Path of ``manifest.csv``.

    Raises:
        FileNotFoundError: If a folder is missing or there is no strip.
        ManifestError: With every strip that cannot be used.
        ValueError: If overrides name a modality or a kind of mask.
    """
    root, output = require_folder(Path(root), LAYOUT), Path(output)
    overrides = overrides or Overrides()
    if overrides.modality is not None or overrides.mask_kind is not None:
        raise ValueError(
            f"the modalities are {' and '.join(MODALITIES)}, and each kind of mask has a manifest "
            f"of its own ({', '.join(MANIFESTS.values())}): leave out --modality and --mask-kind"
        )
    strips = [
        (strip, split)
        for folder, split in FOLDERS.items()
        for strip in images_in(require_folder(root / folder, LAYOUT))
    ]
    fields = _undivided(_convert(strips, root, output, overrides, size_threshold))
    for kind, name in MANIFESTS.items():
        records = [
            replace(
                field,
                image=output / modality / f"{field.name}.png",
                mask=_mask_path(output, field.name, kind),
                mask_kind=kind,
                modality=modality,
            )
            for modality in MODALITIES
            for field in fields
        ]
        finish(records, root, output, Overrides(), LAYOUT, name)
    return output / MANIFESTS["instances"]


def read_field(path: Path, size_threshold: int = SIZE_THRESHOLD) -> Field:
    """Cut one strip.

    The fluorescence image is the pixelwise maximum of DAPI and marker, over the colour channels
    too, since the tiles are false-coloured. Nuclei are the 4-connected components of
    ``max(R, B) > 150 and G <= 80`` and have the colour of most of their pixels.

    Args:
        path: The strip, RGB, six times as wide as high.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        The field.

    Raises:
        ValueError: If it is no such strip, or an image or the segmentation is empty.
    """
    tiles = dict(zip(TILES, _tiles(path), strict=True))
    images = {
        "ihc": np.ascontiguousarray(tiles["ihc"]),
        "fluorescence": np.maximum(tiles["dapi"], tiles["marker"]).max(axis=2),
    }
    for modality, image in images.items():
        if (image == image[:1, :1]).all():
            raise ValueError(f"the {modality} image is constant, expected one with contrast")
    instances, classes = nuclei(tiles["segmentation"], size_threshold)
    # The release has fields without nuclei on purpose, and says so in their names.
    if not instances.any() and not image_stem(path).endswith("_empty"):
        raise ValueError(
            f"found no nucleus of more than {size_threshold} pixels in the segmentation tile, "
            "expected red or blue nuclei (or a name that ends in _empty)"
        )
    return Field(images, instances, classes)


def nuclei(
    segmentation: NDArray[np.uint8], size_threshold: int = SIZE_THRESHOLD
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Nuclei of a segmentation tile and their classes.

    Args:
        segmentation: ``(Y, X, 3)``, red positive, blue negative, green boundary.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        Label map int32 ``(Y, X)`` and class map uint8 ``(Y, X)``: 0 background (with the boundary,
        which is a line between nuclei and no tissue), 1 positive, 2 negative; positive where red
        and blue pixels are equally many.
    """
    red, green, blue = (segmentation[..., channel] for channel in range(3))
    nucleus = (np.maximum(red, blue) > SEGMENTATION_THRESHOLD) & (green <= BOUNDARY_THRESHOLD)
    labels, count = ndimage.label(nucleus)
    # How many more red than blue pixels each nucleus has.
    sign = np.where(red >= blue, 1, -1)
    surplus = np.bincount(labels.ravel(), weights=sign.ravel(), minlength=count + 1)
    class_of = np.where(surplus >= 0, POSITIVE, NEGATIVE).astype(np.uint8)
    class_of[0] = 0
    instances = without_small(labels.astype(np.int32), size_threshold + 1)
    return instances, np.where(instances > 0, class_of[labels], 0).astype(np.uint8)


def _tiles(path: Path) -> list[NDArray[Any]]:
    strip = read_image(path).array
    height, width = strip.shape[:2]
    if strip.ndim != 3 or strip.dtype != np.uint8:
        raise ValueError(f"found {strip.dtype} {strip.shape}, expected 8-bit RGB")
    if width != len(TILES) * height:
        raise ValueError(
            f"found {width} x {height} pixels, expected {len(TILES)} square tiles side by side "
            f"({len(TILES) * height} x {height})"
        )
    return np.split(strip, len(TILES), axis=1)


def _convert(
    strips: Sequence[tuple[Path, Split]],
    root: Path,
    output: Path,
    overrides: Overrides,
    size_threshold: int,
) -> list[Record]:
    """Write images and masks of all strips; one record per strip, whose image is the strip."""
    records: list[Record] = []
    problems: list[str] = []
    first: dict[str, Path] = {}
    for path, split in tqdm(strips, "cutting strips", delay=2.0, leave=False, disable=None):
        name = path.relative_to(root).as_posix()
        other = first.setdefault(image_stem(path), path)
        if other != path:
            problems.append(f"{name}: found the name in {other.parent.name} too, expected it once")
            continue
        try:
            _write(read_field(path, size_threshold), image_stem(path), output)
        except (ValueError, OSError) as error:
            problems.append(f"{name}: {error}")
            continue
        records.append(overrides.apply(_record(path, split), root))
    if problems:
        raise ManifestError(root, problems)
    return records


def _record(strip: Path, split: Split) -> Record:
    found = REGION.match(image_stem(strip))
    patient, group = (
        (found["region"], found["tissue"].lower()) if found else (image_stem(strip), "unknown")
    )
    return Record(strip, None, "instances", "strip", patient, group, None, split=split)


def _write(field: Field, name: str, output: Path) -> None:
    """Write images and masks of one field."""
    for modality, image in field.images.items():
        write_image(output / modality / f"{name}.png", image)
    write_label_map(_mask_path(output, name, "instances"), field.instances)
    write_label_map(_mask_path(output, name, "semantic"), field.classes)


def _mask_path(output: Path, name: str, kind: MaskKind) -> Path:
    return output / kind / f"{name}.tif"


def _undivided(strips: Sequence[Record]) -> list[Record]:
    """The records without the splits of patients that several folders share."""
    splits: dict[str, set[str | None]] = {}
    for strip in strips:
        splits.setdefault(strip.patient, set()).add(strip.split)
    divided = {patient for patient, found in splits.items() if len(found) > 1}
    if divided:
        _log.warning(
            "%d of %d patients have strips in several folders; their split is drawn anew, so that "
            "none is both learnt from and tested on (--patient-pattern '[^/]+$' makes every strip "
            "a patient of its own and keeps the folders)",
            len(divided),
            len(splits),
        )
    unnamed = sum(REGION.match(strip.name) is None for strip in strips)
    if unnamed:
        _log.warning("%d strips name no region: each is a patient of its own", unnamed)
    return [replace(strip, split=None) if strip.patient in divided else strip for strip in strips]
