"""Predictions of nnU-Net (Isensee et al., 2021) as the run folder of a cross-validation."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lotus.atomic import hidden_folder
from lotus.evaluation.crossval import gather_folds, score_folds
from lotus.imaging.raster import (
    read_image,
    read_label_map,
    read_pixel_size,
    write_image,
    write_label_map,
)
from lotus.masks import connected_components
from lotus.metrics.functional import without_ignored
from lotus.runs import RunFolder


def import_predictions(dataset: Path, results: Path, output: Path, minimum_size: int = 0) -> int:
    """Read what nnU-Net predicted for the images it held out of each fold, and score it.

    The objects are the 8-connected components of the predicted foreground, all classes together.
    Where there are several, the fold's class maps say which pixel is of which.

    Args:
        dataset: The data set in `nnUNet_raw` that `lotus nnunet export` wrote.
        results: Folder of a trainer and configuration in `nnUNet_results`, with the `fold_<k>`.
        output: Run folder to write, as that of `lotus crossval`; whole or not at all.
        minimum_size: Smaller objects are left out, in pixels.

    Returns:
        Number of images.

    Raises:
        FileNotFoundError: There is no such data set, or a fold has no predictions.
        ValueError: A fold did not predict all its images or others, a prediction cannot be read or
            has another size than its image, or the run folder exists.
    """
    if output.exists():
        raise ValueError(f"{output} exists already; give another --run, or remove it")
    patients, folds = _read_cases(dataset / "lotus" / "cases.csv")
    n_classes, ignored = _read_labels(dataset / "dataset.json")
    validations = {
        fold: _check_fold(results / f"fold_{fold}", names) for fold, names in folds.items()
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(output.parent) as hidden:
        run = RunFolder(hidden / output.name)
        progress = tqdm(total=len(patients), desc="importing", unit="image", disable=None)
        for fold, names in folds.items():
            for name in sorted(names):
                prediction = validations[fold] / f"{name}.tif"
                _import_case(
                    dataset,
                    prediction,
                    run.fold(fold),
                    minimum_size=minimum_size,
                    has_classes=n_classes > 1,
                    ignored=ignored,
                )
                progress.update()
        progress.close()
        expected = {run.fold(fold).path: names for fold, names in folds.items()}
        score_folds(run.path, gather_folds(expected, run.path), patients)
        for path in sorted(results.glob("*.json")):  # the plans: what nnU-Net made of the data
            run.nnunet.mkdir(exist_ok=True)
            shutil.copyfile(path, run.nnunet / path.name)
        run.path.rename(output)
    return len(patients)


def _read_cases(path: Path) -> tuple[dict[str, str], dict[int, set[str]]]:
    """The patient of each image, and the images of each fold in order."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no cases here; give the folder that `lotus nnunet export` wrote"
        )
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows = [(row["name"], row["patient"], int(row["fold"])) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: damaged ({error!r}); export the data set again") from error
    folds: dict[int, set[str]] = {fold: set() for fold in sorted({row[2] for row in rows})}
    for name, _, fold in rows:
        folds[fold].add(name)
    return {name: patient for name, patient, _ in rows}, folds


def _read_labels(path: Path) -> tuple[int, int | None]:
    """The number of foreground classes of a data set, and its label of pixels to be ignored."""
    try:
        labels = dict(json.loads(path.read_text(encoding="utf-8"))["labels"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error!r}); export the data set again") from error
    ignored = labels.pop("ignore", None)
    return len(labels) - 1, ignored


def _check_fold(folder: Path, names: set[str]) -> Path:
    """The folder with a fold's predictions, if they are those of its test images."""
    validation = folder / "validation"
    remedy = f"train the fold with `nnUNetv2_train ... {folder.name.removeprefix('fold_')}`"
    if not validation.is_dir():
        raise FileNotFoundError(f"{validation}: no predictions here; {remedy}")
    found = {path.stem for path in validation.glob("*.tif")}
    for name in sorted(found ^ names):
        if name in names:
            raise ValueError(f"{validation}: {name} was not predicted; {remedy}, or add --val")
        raise ValueError(
            f"{validation}: {name} is not one of the fold's test images; was splits_final.json "
            "changed? Export the data set again and train it"
        )
    return validation


def _import_case(
    dataset: Path,
    prediction: Path,
    fold: RunFolder,
    *,
    minimum_size: int,
    has_classes: bool,
    ignored: int | None,
) -> None:
    """Write the objects, their classes and the preview of one image, beside its true objects."""
    name = prediction.stem
    # Beside nnU-Net's own files lie the true objects, as in a run.
    target = RunFolder(dataset / "lotus").target_of(name)
    labels, true = read_label_map(prediction), read_label_map(target)
    if labels.shape != true.shape:
        raise ValueError(
            f"{prediction} is {labels.shape[0]} x {labels.shape[1]}; expected {true.shape[0]} x "
            f"{true.shape[1]} as its image"
        )
    size = read_pixel_size(target)
    spacing = None if size is None else size.spacing_um
    objects: NDArray[np.integer] = connected_components(labels > 0, minimum_size)
    if ignored is not None:
        mask = read_label_map(dataset / "labelsTr" / f"{name}.tif")
        objects, _ = without_ignored(objects, true, mask == ignored)
    write_label_map(fold.prediction_of(name), objects, spacing)
    if has_classes:
        classes = np.where(objects > 0, labels, 0).astype(np.uint8)
        write_label_map(fold.classes_of(name), classes, spacing)
    fold.targets.mkdir(exist_ok=True)
    shutil.copyfile(target, fold.target_of(name))
    write_image(fold.image_of(name), _preview(dataset / "imagesTr", name))


def _preview(folder: Path, name: str) -> NDArray[np.uint8]:
    """The channels of an image, float32 in [0, 1], as 8-bit (Y, X) or (Y, X, 3)."""
    files = [folder / f"{name}_{channel:04d}.tif" for channel in range(3)]
    channels = [read_image(path).array for path in files if path.is_file()]
    scaled = (np.stack(channels, axis=-1).clip(0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(scaled if scaled.shape[-1] == 3 else scaled[..., 0])
