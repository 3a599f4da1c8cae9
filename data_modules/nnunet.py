"""A modality of a manifest as a data set of nnU-Net (Isensee et al., 2021), with our folds.

The layout is that of nnU-Net v2: `nnUNet_raw/Dataset<number>_<name>` with one file per channel in
`imagesTr`, `labelsTr` and `dataset.json`, and `nnUNet_preprocessed/.../splits_final.json`, which
nnU-Net takes instead of drawing a split of its own.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_modules.dataset import ImageSource
from data_modules.manifest import Record
from data_modules.patch_cache import PatchCache
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import Splits
from lotus.atomic import atomic_path, hidden_folder
from lotus.imaging.raster import write_image, write_label_map

CHANNEL_NAMES = {1: ("grey",), 3: ("red", "green", "blue")}
"""Names that nnU-Net gives no normalisation of its own: it makes each channel mean 0 and SD 1."""
IGNORE = "ignore"
"""What nnU-Net calls the label, greater than all others, of pixels that it does not train on."""
OURS = "lotus"
"""Folder within the data set that nnU-Net does not look at: the true objects and the patients."""


def dataset_name(number: int, name: str) -> str:
    """The name of a data set as nnU-Net wants it, such as ``Dataset007_Lacunae``.

    Raises:
        ValueError: The number is not in 1 ... 999, or the name has other signs than letters,
            digits and ``_``.
    """
    if not 1 <= number <= 999:
        raise ValueError(f"the number of a data set is {number}; nnU-Net takes 1 ... 999")
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise ValueError(f"the name of a data set is {name!r}; expected letters, digits and _")
    return f"Dataset{number:03d}_{name}"


def export_dataset(
    folder: Path, dataset: str, data: SegmentationDataModule, folds: Sequence[Splits]
) -> Path:
    """Write the annotated images of a data module as a data set of nnU-Net.

    Images are written as the other methods see them: preprocessed, float32 in [0, 1]. nnU-Net
    trains on the images that the others train on (``training_images`` counts). Its ``val`` are the
    images that the fold tests; the images by which others choose a checkpoint are left out of the
    fold, as nnU-Net takes the last one. Pixels that masks ignore have nnU-Net's label for them.

    Args:
        folder: Gets `nnUNet_raw` and `nnUNet_preprocessed`.
        dataset: A name of :func:`dataset_name`.
        data: The data.
        folds: The split of each fold.

    Returns:
        The folder of the data set in `nnUNet_raw`.

    Raises:
        ValueError: The data set exists, or an image or mask cannot be used.
    """
    raw, prepared = folder / "nnUNet_raw", folder / "nnUNet_preprocessed" / dataset
    if (raw / dataset).exists() or prepared.exists():
        raise ValueError(
            f"{dataset} exists already in {folder}; give another --number or --name, or remove it"
        )
    records = [r for r in data.records if r.modality == data.modality and r.mask is not None]
    splits = [
        {"train": _names(data.select("train", split)), "val": _names(data.select("test", split))}
        for split in folds
    ]
    fold_of = {name: fold for fold, split in enumerate(splits) for name in split["val"]}
    raw.mkdir(parents=True, exist_ok=True)
    with hidden_folder(raw) as hidden:
        written = hidden / dataset
        channels = _write_images(written, records, data)
        _write_cases(written / OURS / "cases.csv", records, fold_of)
        names = dict(enumerate(CHANNEL_NAMES[channels]))
        classes = {name: index for index, name in enumerate(("background", *data.class_names))}
        if any(record.mask_values.ignore is not None for record in records):
            classes[IGNORE] = len(classes)
        content = {
            "channel_names": names,
            "labels": classes,
            "numTraining": len(records),
            "file_ending": ".tif",
            "overwrite_image_reader_writer": "NaturalImage2DIO",
        }
        _write_json(written / "dataset.json", content)
        written.rename(raw / dataset)
    _write_json(prepared / "splits_final.json", splits)
    return raw / dataset


def _names(records: Sequence[Record]) -> list[str]:
    return sorted(record.name for record in records)


def _write_images(folder: Path, records: list[Record], data: SegmentationDataModule) -> int:
    """Write images, masks and true objects; the number of channels."""
    cache = PatchCache(data.preprocessing, data.cache)
    groups = sorted({record.group for record in data.records})
    source = ImageSource(
        records, cache, groups=groups, class_names=data.class_names, in_channels=data.in_channels
    )
    channels = max(len(source.prepared(index).image) for index in range(len(source)))
    for index, record in enumerate(tqdm(records, "exporting", unit="image", disable=None)):
        prepared = source.prepared(index)
        y, x = source.spacing_um(index).tolist()
        known = (y, x) if np.isfinite((y, x)).all() else None
        # A grey image among coloured ones is repeated, as the other methods repeat it.
        image = np.broadcast_to(prepared.image, (channels, *prepared.image.shape[1:]))
        for channel, pixels in enumerate(image):
            write_image(folder / "imagesTr" / f"{record.name}_{channel:04d}.tif", pixels, known)
        mask = np.asarray(prepared.mask)
        if prepared.ignored is not None:
            mask = np.where(prepared.ignored, len(data.class_names) + 1, mask)
        for kind, labels in (("labelsTr", mask), (f"{OURS}/targets", prepared.instances)):
            write_label_map(folder / kind / f"{record.name}.tif", np.asarray(labels), known)
    return channels


def _write_cases(path: Path, records: list[Record], fold_of: dict[str, int]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "patient", "fold"))
        writer.writerows((r.name, r.patient, fold_of[r.name]) for r in records)


def _write_json(path: Path, content: object) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
