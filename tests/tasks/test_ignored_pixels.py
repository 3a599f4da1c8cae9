"""Pixels that an annotation ignores count neither in losses nor in scores, whatever the task."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from data_modules.manifest import read_manifest, write_manifest
from lotus.cli import main
from lotus.imaging import read_label_map, write_label_map
from lotus.masks import MaskValues
from lotus.metrics import score_image
from lotus.metrics.functional import without_ignored
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed, ConnectedComponents
from lotus.tasks import (
    DistillationTask,
    MaskRCNNTask,
    SegmentationTask,
    UnpairedKnowledgeDistillationTask,
)
from tests.conftest import tiny_arguments
from tests.tasks.test_mask_rcnn import tiny_detector
from tests.tasks.unpaired import keep_log, random_batch


def with_ignored(batch):
    """The right quarter of every image is to be ignored, and all of the last row."""
    ignored = torch.zeros_like(batch["mask"], dtype=torch.bool)
    ignored[..., -4:] = ignored[:, -1] = True
    known = {key: batch[key].masked_fill(ignored, 0) for key in ("mask", "instances")}
    return {**batch, **known, "ignored": ignored}


@pytest.mark.parametrize(
    ("scheme", "classes", "channels"),
    [
        (ConnectedComponents(), ["a"], 1),
        (ConnectedComponents(), ["a", "b"], 3),
        (BoundaryWatershed(), ["a"], 3),
    ],
)
def test_segmentation_sends_no_gradient_to_ignored_pixels(scheme, classes, channels):
    network = UNet(filters=(4, 8), out_channels=channels)
    task = SegmentationTask(network, classes, instances=scheme)
    batch = with_ignored(random_batch(0))
    fine = torch.randn(2, channels, 16, 16).requires_grad_()
    coarse = torch.randn(2, channels, 8, 8).requires_grad_()
    task.segmentation_loss([fine, coarse], batch).backward()
    for logits, ignored in ((fine, batch["ignored"]), (coarse, batch["ignored"][:, ::2, ::2])):
        assert torch.equal(logits.grad.abs().amax(dim=1) > 0, ~ignored)


@pytest.mark.slow
def test_distillation_gives_ignored_pixels_no_class(tiny_teacher):
    task = DistillationTask(
        network=UNet(filters=(4, 8)), teacher=tiny_teacher, class_names=["a"], feature_stride=2
    )
    batch = random_batch(0)
    plain = task._classes(batch)
    batch["ignored"] = torch.zeros_like(batch["mask"], dtype=torch.bool)
    assert torch.equal(task._classes(batch), plain)
    for rows, columns in ((0, 0), (2, slice(2)), (slice(4, 7), slice(2))):
        batch["ignored"][0, rows, columns] = True
    members = task._classes(batch).sum(dim=1)[0]
    # One of four pixels, two of four, all four, two of four.
    assert members[:4, 0].tolist() == [1, 0, 0, 0]
    assert (members[:, 1:] == 1).all()


def test_mutual_distillation_leaves_ignored_pixels_out():
    task = keep_log(
        UnpairedKnowledgeDistillationTask(network=UNet(filters=(4, 8)), class_names=["a"])
    )
    student, teacher = with_ignored(random_batch(0)), random_batch(1, size=24)
    logits = torch.randn(2, 1, 16, 16).requires_grad_()
    task._divergence(logits, torch.randn(2, 1, 24, 24), student, teacher).backward()
    assert torch.equal(logits.grad[:, 0] != 0, ~student["ignored"])


def test_a_detector_does_not_see_ignored_pixels():
    task = keep_log(MaskRCNNTask(tiny_detector(), ["nucleus"]))
    batch = with_ignored(random_batch(0, size=48))
    losses = []
    for value in (0.0, 1.0, None):
        seen = torch.where(batch["ignored"][:, None], value or 0.0, batch["image"])
        given = {**batch, "image": seen}
        if value is None:
            del given["ignored"]
        torch.manual_seed(0)
        losses.append(task.training_step(given, 0).item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("task", ["segmentation", "detector"])
def test_steps_return_what_they_score(task):
    batch = with_ignored(random_batch(0, size=48))
    batch = {key: value[:1] for key, value in batch.items()}
    task = (
        SegmentationTask(UNet(filters=(4, 8)), ["a"], instances=ConnectedComponents(threshold=1e-6))
        if task == "segmentation"
        else MaskRCNNTask(tiny_detector(), ["a"], minimum_score=0.0)
    ).eval()
    with torch.no_grad():
        raw = task.predict_step(batch, 0)
        found = [task.validation_step(batch, 0), task.test_step(batch, 0)]
    target, ignored = (batch[key][0].numpy() for key in ("instances", "ignored"))
    expected, _ = without_ignored(raw["labels"], target, ignored)
    assert raw["labels"][ignored].any()
    for prediction, scores in zip(found, (task.val_scores, task.test_scores), strict=True):
        np.testing.assert_array_equal(prediction["labels"], expected)
        np.testing.assert_array_equal(prediction["classes"], np.where(expected, raw["classes"], 0))
        dice = score_image(expected, target)["dice"]
        assert scores.compute()["dice"].item() == pytest.approx(dice)


@pytest.mark.slow
def test_a_run_is_scored_as_lotus_evaluate_scores_it(tiny_manifest, tmp_path):
    """The first disc of every image is to be ignored, through training, test and evaluation."""
    values = MaskValues(ignore=1)
    records = [replace(record, mask_values=values) for record in read_manifest(tiny_manifest)]
    write_manifest(tmp_path / "manifest.csv", records)
    arguments = tiny_arguments("student", tmp_path / "manifest.csv", tmp_path)
    arguments += ["--data.init_args.preprocessing", "lotus.transforms.PercentileRange"]
    assert main(arguments) == 0
    run = tmp_path / "student/tiny"
    for command in ("test", "predict"):
        assert main([command, "--config", str(run / "config.yaml")]) == 0
    masks = {record.name: record.mask for record in records}
    for path in (run / "targets").iterdir():
        stored = read_label_map(masks[path.stem])
        np.testing.assert_array_equal(read_label_map(path), np.where(stored == 1, 0, stored))
        assert not read_label_map(run / "predictions" / path.name)[stored == 1].any()
        write_label_map(tmp_path / "true" / path.name, stored)
    folders = {
        "as written": (run / "predictions", run / "targets", []),
        "as predicted": (run / "predict/predictions", tmp_path / "true", ["--ignore-value", "1"]),
    }
    expected = pd.read_csv(run / "scores.csv").drop(columns=["patient", "hd_um", "hd95_um"])
    assert expected["dice"].notna().all()
    for predictions, targets, options in folders.values():
        arguments = ["--predictions", predictions, "--targets", targets, "--kind", "instances"]
        output = ["--output", tmp_path / "scores.csv"]
        assert main(["evaluate", *map(str, arguments + output), *options]) == 0
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores.csv"), expected)
