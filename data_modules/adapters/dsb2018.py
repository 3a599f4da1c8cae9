"""The nuclei of the Data Science Bowl 2018 (BBBC038, CC0; Caicedo et al., Nat Methods 2019).

Two layouts are read: the distributed one, ``stage1_train/<id>/images/<id>.png`` with one mask
file per nucleus under ``<id>/masks/``, and a folder with a ``manifest.csv`` that lists one label
map per image with domain, acquisition field and split.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from data_modules.adapters.overrides import Overrides, require_folder
from data_modules.adapters.staging import finish, staging
from data_modules.manifest import Record, Split
from lotus.imaging.file_names import images_in
from lotus.imaging.raster import read_image, read_label_map, write_image, write_label_map

LAYOUT = "stage1_train/<id>/images/<id>.png with <id>/masks/*.png, or a manifest.csv"
LISTED_COLUMNS = ("id", "domain", "split", "field", "image", "label")


def prepare(root: Path, output: Path, overrides: Overrides | None = None) -> Path:
    """Write a manifest of the data set; merged label maps go to ``output`` where needed.

    Args:
        root: The data set, in either layout. Nothing is written there.
        output: Folder for the manifest (and images and label maps of the first layout).
        overrides: Values that replace those found.

    Returns:
        Path of the manifest.

    Raises:
        FileNotFoundError: If neither layout is there.
        ValueError: If files are missing or do not fit.
    """
    root = require_folder(Path(root), LAYOUT)
    output = Path(output)
    if output.resolve() == root.resolve():
        raise ValueError(f"{output}: the data set lies here; expected another folder to write to")
    listed = (root / "manifest.csv").is_file()
    with staging(output) as staged:
        records = _listed(root) if listed else _one_mask_per_nucleus(root, staged.folder)
        return finish({"manifest.csv": records}, root, staged, overrides or Overrides(), LAYOUT)


def _listed(root: Path) -> list[Record]:
    """Records of the layout with a list; the field is the patient, so that it is never split."""
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in LISTED_COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{root / 'manifest.csv'}: no column {', '.join(missing)}")
    return [
        Record(
            image=_locate(root, row["image"]),
            mask=_locate(root, row["label"]),
            mask_kind="instances",
            modality=row["domain"],
            patient=row["field"],
            group="unknown",
            pixel_size_um=None,
            # Checked with the manifest that is made of it.
            split=cast("Split | None", row["split"] or None),
        )
        for row in rows
    ]


def _locate(root: Path, name: str) -> Path:
    """A listed file: names start at the folder of the list, or at the one above it."""
    inside = root / name
    return inside if inside.is_file() else root.parent / name


def _one_mask_per_nucleus(root: Path, converted: Path) -> list[Record]:
    """Convert the distributed layout.

    Which crops come from one acquisition is not distributed: every image is a patient of its
    own here, and a patient pattern can say more.
    """
    folder = root / "stage1_train" if (root / "stage1_train").is_dir() else root
    records = []
    for sample in sorted(path for path in folder.iterdir() if (path / "images").is_dir()):
        images = images_in(sample / "images")
        if len(images) != 1:
            raise ValueError(f"{sample / 'images'}: found {len(images)} images, expected one")
        pixels = _grey_or_colour(read_image(images[0]).array)
        masks = images_in(sample / "masks")
        if not masks:
            raise FileNotFoundError(f"{sample / 'masks'}: image without its masks")
        image_path = converted / "images" / f"{sample.name}.png"
        mask_path = converted / "masks" / f"{sample.name}.tif"
        labels = merge_masks(masks, (pixels.shape[0], pixels.shape[1]))
        write_image(image_path, pixels)
        write_label_map(mask_path, labels)
        modality = guess_modality(pixels)
        records.append(
            Record(image_path, mask_path, "instances", modality, sample.name, "unknown", None)
        )
    return records


def merge_masks(masks: list[Path], size: tuple[int, int]) -> NDArray[np.int32]:
    """One label map from one mask file per nucleus, in the order of the files.

    Args:
        masks: Files in which a nucleus is non-zero.
        size: ``(Y, X)`` of the image.

    Returns:
        int32 ``(Y, X)``: 0 background, 1 ... N. Where masks overlap the first one stays.

    Raises:
        ValueError: If a mask has another size.
    """
    labels = np.zeros(size, np.int32)
    for number, path in enumerate(masks, start=1):
        nucleus = read_label_map(path) > 0
        if nucleus.shape != size:
            found = "{} x {}".format(*nucleus.shape)
            raise ValueError(f"{path}: mask is {found}; expected {size[0]} x {size[1]}")
        labels[nucleus & (labels == 0)] = number
    return labels


def guess_modality(pixels: NDArray[np.uint8]) -> str:
    """Kind of microscopy: coloured is histology, dark grey fluorescence, bright grey cytology.

    Args:
        pixels: ``(Y, X)`` or ``(Y, X, 3)``.

    Returns:
        ``histology``, ``fluorescence`` or ``cytology``.
    """
    if pixels.ndim == 3:
        return "histology"
    return "fluorescence" if np.median(pixels) < 128 else "cytology"


def _grey_or_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey images are distributed as colour images of three equal channels."""
    is_grey = pixels.ndim == 3 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if is_grey else pixels
