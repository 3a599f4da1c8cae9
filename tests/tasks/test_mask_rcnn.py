"""Mask R-CNN on a tiny backbone, alone and through the command line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from lotus.callbacks import ClassScores
from lotus.cli import main
from lotus.inference.segmenter import load_segmenter
from lotus.networks.mask_rcnn import NativeSize
from lotus.tasks import MaskRCNNTask
from tests.conftest import tiny_arguments
from tests.tasks.unpaired import keep_log

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments/lotus"


class Backbone(nn.Sequential):
    """One level of features at a quarter of the image's size."""

    out_channels = 16

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        )


def tiny_detector(num_classes: int = 2) -> MaskRCNN:
    """Torchvision's Mask R-CNN with 16 channels and small heads."""
    network = MaskRCNN(
        Backbone(),
        num_classes=None,
        rpn_anchor_generator=AnchorGenerator(((10,),), ((1.0,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=5, sampling_ratio=2),
        mask_roi_pool=MultiScaleRoIAlign(["0"], output_size=8, sampling_ratio=2),
        box_head=nn.Sequential(nn.Flatten(), nn.Linear(16 * 25, 32), nn.ReLU()),
        box_predictor=BoxPredictor(num_classes),
        mask_head=nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
        mask_predictor=nn.ConvTranspose2d(16, num_classes, 2, stride=2),
    )
    given = network.transform
    network.transform = NativeSize(0, 0, given.image_mean, given.image_std)
    return network


class BoxPredictor(nn.Module):
    """Scores and boxes of each class."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(32, num_classes)
        self.bbox_pred = nn.Linear(32, 4 * num_classes)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cls_score(features), self.bbox_pred(features)


def discs(count=2, size=48):
    rows, columns = np.mgrid[:size, :size]
    instances = np.zeros((count, size, size), np.int32)
    random = np.random.default_rng(0)
    for image in instances[1:]:
        for number, (y, x) in enumerate(random.integers(8, 40, (3, 2)), start=1):
            image[(rows - y) ** 2 + (columns - x) ** 2 < 36] = number
    instances = torch.from_numpy(instances)
    image = torch.where(instances > 0, 0.9, 0.1)[:, None].expand(-1, 3, -1, -1)
    return {"image": image.contiguous(), "mask": (instances > 0).long(), "instances": instances}


def test_a_step_trains_every_part_and_takes_images_without_objects():
    torch.manual_seed(0)
    task = MaskRCNNTask(tiny_detector(), ["nucleus"])
    batch = discs()
    assert not batch["instances"][0].any()
    loss = task.training_step(batch, 0)
    loss.backward()
    assert torch.isfinite(loss)
    without = [name for name, weight in task.named_parameters() if weight.grad is None]
    assert without == []
    empty = {name: value[:1] for name, value in batch.items()}
    assert torch.isfinite(task.training_step(empty, 0))


def test_the_loss_is_the_sum_of_torchvisions_five():
    task = keep_log(MaskRCNNTask(tiny_detector(), ["nucleus"]))
    loss = task.training_step(discs(), 0)
    names = ("classifier", "box_reg", "mask", "objectness", "rpn_box_reg")
    five = [task.logged[f"train_loss_{name}"] for name in names]
    torch.testing.assert_close(loss.detach(), torch.stack(five).sum())
    assert len(task.logged) == 6


def test_mixed_precision_does_not_round_boxes():
    batch = discs()
    losses = []
    for enabled in (False, True):
        torch.manual_seed(0)
        task = MaskRCNNTask(tiny_detector(), ["nucleus"])
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(task.training_step(batch, 0))
    assert torch.equal(*losses)


class KnownDetections(nn.Module):
    """Two overlapping squares of known scores, whatever the image."""

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        masks = torch.zeros(3, 1, *images[0].shape[-2:])
        masks[0, 0, :4, :4], masks[1, 0, 2:6, 2:6], masks[2, 0, 8:, 8:] = 0.9, 1.0, 1.0
        labels, scores = torch.tensor([2, 1, 2]), torch.tensor([0.9, 0.6, 0.3])
        return [{"masks": masks, "scores": scores, "labels": labels}]


def test_prediction_is_a_label_map_and_a_probability():
    task = MaskRCNNTask(KnownDetections(), ["nucleus"])
    found = task.predict_step({"image": torch.zeros(1, 3, 10, 12)}, 0)
    expected = np.zeros((10, 12), np.int32)
    expected[2:6, 2:6] = 2
    expected[:4, :4] = 1
    np.testing.assert_array_equal(found["labels"], expected)
    assert found["labels"].dtype == np.int32
    np.testing.assert_array_equal(found["classes"], np.array([0, 2, 1], np.uint8)[expected])
    assert found["classes"].dtype == np.uint8
    assert found["probability"].dtype == np.float32
    assert found["probability"][[0, 5, 9, 0], [0, 5, 9, 9]] == pytest.approx([0.81, 0.6, 0.3, 0])
    lenient = MaskRCNNTask(KnownDetections(), ["nucleus"], minimum_score=0.3)
    assert lenient.predict_step({"image": torch.zeros(1, 3, 10, 12)}, 0)["labels"].max() == 3
    with pytest.raises(ValueError, match="one at a time, got a batch of 2"):
        task.predict_step({"image": torch.zeros(2, 3, 10, 12)}, 0)


@pytest.mark.parametrize("image", [0, 1])
def test_two_classes_are_trained_on_told_apart_and_scored(image):
    torch.manual_seed(0)
    task = MaskRCNNTask(tiny_detector(num_classes=3), ["positive", "negative"], minimum_score=0.0)
    task.setup("fit")
    batch = discs()
    batch["mask"] = torch.where(batch["instances"] == 2, 2, batch["mask"])
    assert torch.isfinite(task.training_step(batch, 0))
    task.eval()
    one = {name: value[image : image + 1] for name, value in batch.items()}
    with torch.no_grad():
        found = task.validation_step(one, 0)
    np.testing.assert_array_equal(found["classes"] > 0, found["labels"] > 0)
    assert found["classes"].max() <= 2
    scores = ClassScores()
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    scores.on_validation_epoch_start(trainer, task)
    scores.on_validation_batch_end(trainer, task, found, one, 0)
    assert {"dice_positive", "dice_negative"} <= set(scores.scores.compute())


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match=r"minimum_score is 2; expected a score in \[0, 1\]"):
        MaskRCNNTask(tiny_detector(), ["nucleus"], minimum_score=2)
    task = MaskRCNNTask(tiny_detector(num_classes=5), ["nucleus"])
    with pytest.raises(ValueError, match=r"has 5 classes, but 1 .* are 2: set num_classes to that"):
        task.setup("fit")


@pytest.mark.slow
def test_training_finds_the_discs():
    torch.manual_seed(0)
    task = MaskRCNNTask(tiny_detector(), ["nucleus"])
    batch = discs(count=4)
    optimizer = torch.optim.Adam(task.parameters(), lr=5e-3)
    task.train()
    for _ in range(100):
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        for index in range(1, 4):
            one = {name: value[index : index + 1] for name, value in batch.items()}
            task.validation_step(one, 0)
    scores = task.val_scores.compute()
    assert scores["dice"] > 0.8
    assert scores["f1"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_fit_test_predict_but_not_segment(tiny_manifest, tmp_path, capsys, preset):
    arguments = tiny_arguments("student", tiny_manifest, tmp_path)
    unet = arguments.index("--model.init_args.network.init_args.filters")
    del arguments[unet : unet + 2]
    layers = [EXPERIMENTS / preset / "student.yaml", EXPERIMENTS / "baselines/mask_rcnn.yaml"]
    arguments[3:3] = [text for layer in layers for text in ("--config", str(layer))]
    arguments += ["--experiment", "mask_rcnn", "--trainer.check_val_every_n_epoch", "1"]
    arguments += [
        "--data.init_args.num_workers",
        "0",
        "--data.init_args.cache",
        str(tmp_path / "c"),
    ]
    arguments += ["--model.init_args.network", f"{__name__}.tiny_detector"]
    assert main(arguments) == 0
    folder = tmp_path / "mask_rcnn/tiny"
    curves = pd.read_csv(folder / "metrics.csv")
    assert {"train_loss", "train_loss_mask", "val_dice"} <= set(curves.columns)
    config = str(folder / "config.yaml")
    assert main(["test", "--config", config]) == 0
    names = list(pd.read_csv(folder / "scores.csv")["name"])
    assert names[-1] == "mean"
    assert main(["predict", "--config", config]) == 0
    written = sorted(path.stem for path in (folder / "predict/predictions").iterdir())
    assert written == names[:-1]

    checkpoint = folder / "checkpoints/best.ckpt"
    with pytest.raises(ValueError, match=r"a detector's.*use `lotus predict --config"):
        load_segmenter(checkpoint)
    capsys.readouterr()
    segment = ["segment", str(folder / "images"), "--checkpoint", str(checkpoint)]
    assert main([*segment, "--output", str(tmp_path / "out")]) == 2
    assert "lotus predict" in capsys.readouterr().err
