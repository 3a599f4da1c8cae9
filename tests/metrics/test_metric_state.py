"""Collected scores: means over images, undefined ones counted, many processes equal to one."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lotus.metrics import score_image
from lotus.metrics.functional import class_dice, panoptic_quality, pool_panoptic_quality
from lotus.metrics.segmentation import InstanceScores, SemanticScores

CLASSES = ("lacuna", "canal")


def images() -> list[tuple[np.ndarray, np.ndarray]]:
    """Seven pairs of label maps, ids 0 to 2; the third pair is empty, the fifth a missed image."""
    rng = np.random.default_rng(1)
    pairs = []
    for index in range(7):
        target = np.kron(rng.integers(0, 3, (4, 4)), np.ones((5, 5), np.int32)).astype(np.int32)
        prediction = np.roll(target, index % 3, axis=1)
        pairs.append((prediction * (index not in (2, 4)), target * (index != 2)))
    return pairs


def collect(pairs) -> dict[str, torch.Tensor]:
    """Results of both metrics over some images."""
    instances, semantic = InstanceScores(hausdorff=True), SemanticScores(CLASSES)
    for prediction, target in pairs:
        instances.update(torch.tensor(prediction), torch.tensor(target))
        semantic.update(torch.tensor(prediction), torch.tensor(target))
    results = {f"instances_{name}": value for name, value in instances.compute().items()}
    return results | {f"semantic_{name}": value for name, value in semantic.compute().items()}


def collect_in_process(rank: int, world_size: int, folder: str) -> None:
    """Collect every second image in a process of its own; the first saves what it has synced."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size
    )
    results = collect(images()[rank::world_size])
    if rank == 0:
        torch.save(results, f"{folder}/results.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path: Path):
    mp.spawn(collect_in_process, args=(2, str(tmp_path)), nprocs=2)
    together = torch.load(tmp_path / "results.pt")
    alone = collect(images())
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value)


def test_means_are_over_images_without_the_undefined():
    metric = InstanceScores(hausdorff=True)
    for pair in images():
        metric.update(*pair)
    result = metric.compute()
    rows = [score_image(*pair) for pair in images()]
    for name in ("dice", "iou", "aji", "aji_plus", "pq", "f1", "hd", "hd95"):
        assert float(result[name]) == pytest.approx(np.nanmean([row[name] for row in rows]))
    # One empty pair: eight scores are undefined; one missed image: two distances are replaced.
    assert result["undefined"] == 10
    pooled = pool_panoptic_quality(panoptic_quality(*pair) for pair in images())
    assert float(result["pq_pooled"]) == pytest.approx(pooled.pq)


def test_hausdorff_is_left_out_unless_asked_for():
    metric = InstanceScores()
    metric.update(*images()[0])
    assert not {"hd", "hd95"} & metric.compute().keys()


def test_class_means_and_macro_average():
    metric = SemanticScores(CLASSES)
    for pair in images():
        metric.update(*pair)
    result = metric.compute()
    per_image = np.array([class_dice(*pair, 2) for pair in images()])
    assert float(result["dice_lacuna"]) == pytest.approx(np.nanmean(per_image[:, 0]))
    assert float(result["dice_canal"]) == pytest.approx(np.nanmean(per_image[:, 1]))
    defined = per_image[~np.isnan(per_image).all(axis=1)]
    macro = np.nanmean(np.nanmean(defined, axis=1))
    assert float(result["dice_macro"]) == pytest.approx(macro)
    # The empty pair: two classes and the macro average, Dice and IoU.
    assert result["undefined"] == 6


def test_nothing_defined_is_nan_and_counted():
    metric = InstanceScores()
    metric.update(np.zeros((3, 3), int), np.zeros((3, 3), int))
    result = metric.compute()
    assert all(math.isnan(float(result[name])) for name in ("dice", "pq", "pq_pooled"))
    assert result["undefined"] == 6


def test_reset_forgets_all_images():
    metric = InstanceScores()
    metric.update(*images()[4])
    metric.reset()
    metric.update(*images()[0])
    fresh = InstanceScores()
    fresh.update(*images()[0])
    assert metric.compute() == fresh.compute()
