"""Scores of a folder of predicted masks or label maps against a folder of true ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lotus.evaluation.choices import IMAGES_AT_A_TIME, IMAGES_PER_PROCESS, Kind
from lotus.evaluation.pairs import Pair, pair_files
from lotus.imaging.mask_files import read_mask
from lotus.imaging.raster import read_pixel_size
from lotus.masks import (
    USUAL_VALUES,
    Labels,
    MaskValues,
    classes_and_objects,
    connected_components,
)
from lotus.metrics.functional import PanopticQuality, pool_panoptic_quality, without_ignored
from lotus.metrics.image_scores import score_image
from lotus.process_pool import map_in_processes
from lotus.runs.scores import MEAN

if TYPE_CHECKING:
    import pandas as pd

LabelMap = NDArray[np.integer[Any]]
ExtraScores = Callable[[LabelMap, LabelMap], dict[str, float]]


def evaluate_folders(
    predictions: Path,
    targets: Path,
    kind: Kind,
    *,
    class_index: int | None = None,
    target_values: MaskValues = USUAL_VALUES,
    prediction_values: MaskValues = USUAL_VALUES,
    pixel_size_um: float | None = None,
    extra_scores: ExtraScores | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Score every image of two folders.

    Files are paired by stem (the name without `.tif`, `.ome.tif`, `.png`, …), those of `lotus
    segment` by the name of their image. Other files, and those whose name begins with a dot, are
    not looked at.

    Args:
        predictions: Folder of predicted masks or label maps.
        targets: Folder of true ones.
        kind: `binary` (anything non-zero is foreground) and `semantic` (one class is) take their
            instances as 8-connected components; `instances` takes label maps as they are.
        class_index: Which class of semantic maps, from 1.
        target_values: What the values of the true files stand for. Pixels that they ignore count in
            no score: see :func:`~lotus.metrics.functional.without_ignored`.
        prediction_values: What those of the predicted files stand for; what they ignore is
            background.
        pixel_size_um: Size of a (square) pixel in µm; adds Hausdorff distances in µm.
        extra_scores: More scores of a pair of label maps, added as columns at the end; a function
            of a module where there are several processes.
        processes: Score in up to this many processes, where there are enough images.

    Returns:
        One row per image, sorted by name: `name`, then the scores of `score_image`. The last row,
        named `mean`, holds the mean of the defined values, and the sum of `undefined`.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If a file has no partner, sizes differ, the class is in no file, or options do
            not fit the kind.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from lotus.evaluation.folders import evaluate_folders
        >>> from lotus.imaging import write_label_map
        >>> with TemporaryDirectory() as root:
        ...     predictions, targets = Path(root, "predictions"), Path(root, "targets")
        ...     write_label_map(predictions / "a.png", np.array([[1, 1, 0, 0]]))
        ...     write_label_map(targets / "a.tif", np.array([[0, 1, 1, 0]]))
        ...     scores = evaluate_folders(predictions, targets, kind="binary")
        >>> scores[["name", "n_true", "dice"]].values.tolist()
        [['a', 1.0, 0.5], ['mean', 1.0, 0.5]]
    """
    import pandas as pd  # A training, which scores no folder before its end, starts without it.

    _check_options(kind, class_index, pixel_size_um)
    spacing_um = None if pixel_size_um is None else (pixel_size_um, pixel_size_um)
    pairs = pair_files(predictions, targets)
    score = partial(
        _score_pair,
        kind=kind,
        class_index=class_index,
        values=(prediction_values, target_values),
        spacing_um=spacing_um,
        extra_scores=extra_scores,
    )
    rows = map_in_processes(
        score, pairs, processes, items_per_process=IMAGES_PER_PROCESS, chunk=IMAGES_AT_A_TIME
    )
    frame = pd.DataFrame(tqdm(rows, "scoring", len(pairs), unit="image", disable=None))
    if kind == "semantic" and not frame[["n_true", "n_pred"]].to_numpy().any():
        masks = (read_mask(pair.target, target_values).values for pair in pairs)
        found = sorted({int(value) for mask in masks for value in np.unique(mask)})
        listed = ", ".join(map(str, found[:10])) + (", …" if found[10:] else "")
        raise ValueError(f"class {class_index} is in no file; {targets} holds the classes {listed}")
    return pd.concat([frame, _mean_row(frame)], ignore_index=True)


def pooled_panoptic_quality(scores: pd.DataFrame) -> PanopticQuality:
    """Panoptic quality of all images as if they were one, from a table of scores.

    Args:
        scores: A table as made by `evaluate_folders` (or read from its file), `mean` last.

    Returns:
        Pooled scores and counts.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.folders import pooled_panoptic_quality
        >>> images = {"n_true": [1, 2], "n_pred": [0, 2], "precision": [0, 1], "sq": [0, 1]}
        >>> scores = pd.concat([pd.DataFrame(images), pd.DataFrame(images).mean().to_frame().T])
        >>> pooled_panoptic_quality(scores).pq  # 2 / (2 + 1 / 2)
        0.8
    """
    images = scores.iloc[:-1]
    counts = images[["n_true", "n_pred", "precision", "sq"]].fillna(0.0).to_numpy(dtype=float)
    return pool_panoptic_quality(
        PanopticQuality(0.0, sq, 0.0, tp, round(n_pred) - tp, round(n_true) - tp)
        for n_true, n_pred, precision, sq in counts
        for tp in [round(precision * n_pred)]
    )


def common_pixel_size(folder: Path) -> float | None:
    """The size of the square pixels that all label maps of a folder have, in µm.

    Args:
        folder: With label maps, ``<name>.tif``.

    Returns:
        The size; None where one has none, or another one, or pixels are not square.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from lotus.evaluation.folders import common_pixel_size
        >>> from lotus.imaging import write_label_map
        >>> labels = np.ones((4, 4), int)
        >>> with TemporaryDirectory() as root:
        ...     write_label_map(Path(root, "a.tif"), labels, spacing_um=(0.5, 0.5))
        ...     alone = common_pixel_size(Path(root))
        ...     write_label_map(Path(root, "b.tif"), labels, spacing_um=(0.25, 0.25))
        ...     print(alone, common_pixel_size(Path(root)))
        0.5 None
    """
    found = map(read_pixel_size, folder.glob("*.tif"))
    sizes = {None if size is None else size.spacing_um for size in found}
    known = {size for size in sizes if size is not None}
    if len(sizes) != 1 or not known:
        return None
    height, width = known.pop()
    return height if np.isclose(height, width, rtol=1e-3) else None


def _check_options(kind: Kind, class_index: int | None, pixel_size_um: float | None) -> None:
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    if kind == "semantic" and (class_index is None or class_index < 1):
        given = "none is given" if class_index is None else f"got {class_index}"
        raise ValueError(f"semantic masks are scored one class at a time, from 1 up: {given}")
    if kind != "semantic" and class_index is not None:
        raise ValueError(f"a class is for semantic masks; {kind} ones have none")
    if pixel_size_um is not None and not (math.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise ValueError(f"pixel size is {pixel_size_um} µm; it must be a number above 0")


def _score_pair(
    pair: Pair,
    kind: Kind,
    class_index: int | None,
    values: tuple[MaskValues, MaskValues],
    spacing_um: tuple[float, float] | None,
    extra_scores: ExtraScores | None,
) -> dict[str, str | float]:
    """The row of one image."""
    labels = _read_pair(pair, *values)
    predicted, true = (_instances(one.values, kind, class_index) for one in labels)
    ignored = labels[1].ignored
    if ignored is not None:
        predicted, true = without_ignored(predicted, true, ignored)
        if kind != "instances":  # What is cut in two is two objects, in both.
            predicted = connected_components(predicted)
    scores = score_image(predicted, true, spacing_um)
    extra = {} if extra_scores is None else extra_scores(predicted, true)
    return {"name": pair.name, **scores, **extra}


def _read_pair(
    pair: Pair, prediction_values: MaskValues, target_values: MaskValues
) -> tuple[Labels, Labels]:
    predicted = read_mask(pair.prediction, prediction_values)
    true = read_mask(pair.target, target_values)
    if predicted.values.shape != true.values.shape:
        raise ValueError(
            f"{pair.prediction} is {_size(predicted.values)} pixels and {pair.target} "
            f"{_size(true.values)}; a prediction must have the size of its target"
        )
    return predicted, true


def _size(labels: LabelMap) -> str:
    """Width × height, as viewers show it."""
    return "×".join(str(length) for length in reversed(labels.shape))


def _instances(labels: LabelMap, kind: Kind, class_index: int | None) -> LabelMap:
    if class_index is not None:
        return connected_components(labels == class_index)
    return classes_and_objects(labels, kind)[1]


def _mean_row(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.drop(columns="name")
    means = numbers.mean(skipna=True)
    means["undefined"] = numbers["undefined"].sum()
    row = means.to_frame().T
    row.insert(0, "name", MEAN)
    return row
