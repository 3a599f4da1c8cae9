"""Speed of the instance and Hausdorff scores beside the usual ways to compute them, in one run.

Run `python -m benchmarks.metrics`. The peers are slow: at the default size MONAI's panoptic
quality alone takes minutes. `--instances 100` gives the picture in seconds. All run on one thread
and are given in processor time, which other programs on the machine do not lengthen. Values that
differ end the run with an error.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_panoptic_quality
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lotus.metrics.functional import (
    aggregated_jaccard_index,
    contingency_table,
    dice,
    hausdorff_distances,
    panoptic_quality,
)

LabelMap = NDArray[np.int32]
Result = TypeVar("Result")


def nuclei(size: int, instances: int, seed: int) -> tuple[LabelMap, LabelMap]:
    """Draw a predicted and a true label map (size, size) of crowded discs.

    Predicted discs lie up to a few pixels off the true ones; one in twenty is missed.
    """
    rng = np.random.default_rng(seed)
    rows = round(math.sqrt(instances))
    pitch = size / rows
    prediction, target = np.zeros((2, size, size), dtype=np.int32)
    for label, (row, column) in enumerate(np.ndindex(rows, rows), start=1):
        y, x = (np.array([row, column]) + 0.5) * pitch + rng.normal(0, pitch / 12, 2)
        radius = rng.uniform(0.3, 0.5) * pitch
        draw_disc(target, y, x, radius, label)
        shift_y, shift_x = rng.normal(0, pitch / 12, 2)
        if rng.random() > 0.05:
            draw_disc(prediction, y + shift_y, x + shift_x, radius, label)
    return prediction, target


def draw_disc(labels: LabelMap, y: float, x: float, radius: float, label: int) -> None:
    """Draw a filled disc into a label map."""
    top, left = max(int(y - radius), 0), max(int(x - radius), 0)
    box = labels[top : int(y + radius) + 2, left : int(x + radius) + 2]
    rows, columns = np.ogrid[top : top + box.shape[0], left : left + box.shape[1]]
    box[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = label


def scores_from_table(prediction: LabelMap, target: LabelMap) -> dict[str, float]:
    """AJI, AJI+, PQ and Dice as this project computes them."""
    table = contingency_table(prediction, target)
    return {
        "aji": aggregated_jaccard_index(table),
        "aji_plus": aggregated_jaccard_index(table, one_to_one=True),
        "pq": panoptic_quality(table).pq,
        "dice": dice(table),
    }


def scores_from_masks(prediction: LabelMap, target: LabelMap) -> dict[str, float]:
    """AJI, AJI+, PQ and Dice from one whole-image mask per instance, as the definitions read."""
    true_ids, predicted_ids = (np.unique(labels[labels > 0]) for labels in (target, prediction))
    true_areas = np.array([np.count_nonzero(target == i) for i in true_ids])
    predicted_areas = np.array([np.count_nonzero(prediction == j) for j in predicted_ids])
    shared, union = np.zeros((2, len(true_ids), len(predicted_ids)))
    for row, true_id in enumerate(true_ids):
        true_mask = target == true_id
        for predicted_id in np.setdiff1d(prediction[true_mask], [0]):
            predicted_mask = prediction == predicted_id
            column = np.searchsorted(predicted_ids, predicted_id)
            shared[row, column] = np.count_nonzero(true_mask & predicted_mask)
            union[row, column] = np.count_nonzero(true_mask | predicted_mask)
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)

    def aggregated(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> float:
        pairs = rows[iou[rows, columns] > 0], columns[iou[rows, columns] > 0]
        left_over = np.delete(true_areas, pairs[0]).sum()
        left_over += np.delete(predicted_areas, np.unique(pairs[1])).sum()
        return float(shared[pairs].sum() / (union[pairs].sum() + left_over))

    both = np.count_nonzero((target > 0) & (prediction > 0))
    return {
        "aji": aggregated(np.arange(len(true_ids)), iou.argmax(axis=1)),
        "aji_plus": aggregated(*linear_sum_assignment(iou, maximize=True)),
        "pq": float(2 * iou[iou > 0.5].sum() / (len(true_ids) + len(predicted_ids))),
        "dice": float(2 * both / (true_areas.sum() + predicted_areas.sum())),
    }


def timed(compute: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """Shortest processor time of some repeats in seconds, and the result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = compute()
        times.append(time.process_time() - start)
    return min(times), result


def check_equal(what: str, ours: list[float], theirs: list[float]) -> None:
    """End the run if the peers do not compute the same."""
    if not np.allclose(ours, theirs, rtol=1e-4, atol=1e-6):
        raise SystemExit(f"{what} differ: {ours} here, {theirs} by the peer")


def show(what: str, seconds: float, reference: float) -> None:
    print(f"{what:<62} {1000 * seconds:12.1f} ms {seconds / reference:10.1f} x")


def benchmark_instances(prediction: LabelMap, target: LabelMap) -> None:
    """AJI, AJI+, PQ and Dice against one mask per instance and MONAI."""
    ours, scores = timed(lambda: scores_from_table(prediction, target), repeats=10)
    counting, _ = timed(lambda: contingency_table(prediction, target), repeats=10)
    show("AJI, AJI+, PQ and Dice from one contingency table", ours, ours)
    show("  of this the contingency table", counting, ours)
    theirs, expected = timed(lambda: scores_from_masks(prediction, target), repeats=1)
    show("the same from one mask per instance", theirs, ours)
    check_equal("scores", list(scores.values()), [expected[name] for name in scores])
    maps = torch.from_numpy(prediction), torch.from_numpy(target)
    theirs, quality = timed(lambda: compute_panoptic_quality(*maps), repeats=1)
    show("MONAI compute_panoptic_quality, PQ alone", theirs, ours)
    check_equal("panoptic qualities", [scores["pq"]], [float(quality)])


def benchmark_hausdorff(prediction: LabelMap, target: LabelMap) -> None:
    """Hausdorff distance and HD95 against MONAI."""
    masks = tuple(torch.from_numpy(labels > 0)[None, None] for labels in (prediction, target))
    ours, distances = timed(lambda: hausdorff_distances(prediction, target, (100, 95)), repeats=10)
    show("Hausdorff and HD95 from one set of distances", ours, ours)
    total, expected = 0.0, []
    for percentile in (100, 95):
        peer = partial(compute_hausdorff_distance, include_background=True, percentile=percentile)
        seconds, distance = timed(partial(peer, *masks), repeats=3)
        total += seconds
        expected.append(float(distance))
        show(f"MONAI compute_hausdorff_distance, percentile {percentile} alone", seconds, ours)
    show("MONAI, both", total, ours)
    check_equal("Hausdorff distances", list(distances), expected)


def main() -> None:
    """Draw a pair of label maps and time both groups of scores on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="height and width in pixels")
    parser.add_argument("--instances", type=int, default=1450, help="about how many true instances")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)

    prediction, target = nuclei(arguments.size, arguments.instances, seed=0)
    found = len(np.unique(prediction)) - 1
    print(f"{arguments.size}×{arguments.size} pixels, {target.max()} instances, {found} predicted")
    benchmark_instances(prediction, target)
    benchmark_hausdorff(prediction, target)


if __name__ == "__main__":
    main()
