import numpy as np
import pytest
import torch
from torch import nn

from lotus.cli import main
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed
from lotus.tasks import SegmentationTask
from lotus.tasks.segmentation import start_from
from lotus.transforms import DtypeRange
from tests.conftest import tiny_arguments


def random_batch(size=16):
    generator = torch.Generator().manual_seed(0)
    instances = (torch.rand(2, size, size, generator=generator) > 0.7).int()
    return {
        "image": torch.rand(2, 3, size, size, generator=generator),
        "mask": instances.long(),
        "instances": instances,
    }


def test_loss_is_soft_dice_plus_cross_entropy():
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"])
    batch = random_batch()
    logits = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    truth = batch["mask"][:, None].float()
    score = logits.sigmoid()
    overlap = (score * truth).sum((2, 3))
    dice = 1 - 2 * overlap / (score.sum((2, 3)) + truth.sum((2, 3)))
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
    found = task.segmentation_loss(logits, batch)
    torch.testing.assert_close(found, dice.mean() + entropy, atol=1e-4, rtol=1e-4)


def test_deep_supervision_is_the_mean_over_outputs():
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"])
    batch = random_batch()
    fine, coarse = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 8, 8)
    small = {name: value[..., ::2, ::2] for name, value in batch.items()}
    expected = (task.segmentation_loss(fine, batch) + task.segmentation_loss(coarse, small)) / 2
    torch.testing.assert_close(task.segmentation_loss([fine, coarse], batch), expected)


def test_deep_supervision_weights_fall_by_the_decay_and_sum_to_one():
    batch = random_batch()
    fine, coarse = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 8, 8)
    small = {name: value[..., ::2, ::2] for name, value in batch.items()}
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"], deep_supervision_decay=0.5)
    terms = [task.segmentation_loss(fine, batch), task.segmentation_loss(coarse, small)]
    # nnU-Net with three outputs: (1, 1/2, 1/4) / 1.75.
    expected = (4 * terms[0] + 2 * terms[1] + terms[1]) / 7
    torch.testing.assert_close(task.segmentation_loss([fine, coarse, coarse], batch), expected)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=f"above 0 and at most 1, got {decay}"):
        SegmentationTask(UNet(), ["lacuna"], deep_supervision_decay=decay)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"window": 100}, "window is 100"), ({"overlap": 1.0}, "overlap is 1")],
)
def test_windows_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationTask(UNet(), ["lacuna"], **options)


@pytest.mark.parametrize("size", [(40, 50), (100, 130)])
def test_the_loss_of_an_image_is_that_of_its_blended_logits(size):
    """A network without context has the same logits with and without windows."""
    task = SegmentationTask(nn.Conv2d(3, 3, 1), ["a", "b"], window=32).eval()
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 3, (1, *size), generator=generator)
    image = torch.rand(1, 3, *size, generator=generator)
    batch = {"image": image, "mask": mask, "instances": mask.int()}
    with torch.inference_mode():
        prediction = task.validation_step(batch, 0)
        logits = task(image)
        expected = task.segmentation_loss(logits, batch)
    torch.testing.assert_close(task.val_loss.compute(), expected)
    probability = 1 - logits.softmax(1)[0, 0]
    torch.testing.assert_close(torch.from_numpy(prediction["probability"]), probability)


def test_images_are_scored_one_by_one():
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"])
    with pytest.raises(ValueError, match="one at a time, got a batch of 2"):
        task.predict_step({"image": torch.zeros(2, 3, 32, 32)}, 0)


def test_wrong_number_of_output_channels_is_refused():
    task = SegmentationTask(UNet(out_channels=2), ["lacuna"])
    with pytest.raises(ValueError, match=r"gives 2 channels, but 1 class.* need 1"):
        task.setup("fit")


def test_boundary_scheme_needs_three_channels():
    task = SegmentationTask(UNet(), ["lacuna"], instances=BoundaryWatershed())
    with pytest.raises(ValueError, match="BoundaryWatershed need 3"):
        task.setup("fit")


def test_start_from_another_architecture_is_refused(tiny_teacher):
    with pytest.raises(ValueError, match="holds another architecture than UNet"):
        start_from(UNet(filters=(4, 8, 16)), tiny_teacher)


def test_start_from_copies_the_weights(tiny_teacher):
    network = UNet(filters=(4, 8))
    start_from(network, tiny_teacher)
    saved = torch.load(tiny_teacher, weights_only=True)["state_dict"]
    for name, value in network.state_dict().items():
        assert torch.equal(value, saved[f"network.{name}"])


def test_a_checkpoint_alone_is_enough_to_segment(tiny_teacher):
    segmenter = load_segmenter(tiny_teacher, device="cpu")
    assert isinstance(segmenter.preprocessing, DtypeRange)
    assert segmenter.class_names == ["lacuna"]
    assert segmenter.in_channels == 3
    assert segmenter.spacing_um == pytest.approx((1.6, 1.6))
    assert not segmenter.networks[0].training
    assert segmenter.networks[0](torch.rand(1, 3, 20, 20)).shape == (1, 1, 20, 20)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"a.ckpt is not a readable checkpoint"):
        load_segmenter(tmp_path / "a.ckpt")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_segmenter(tmp_path / "b.ckpt")


@pytest.mark.slow
def test_training_learns_the_discs(tiny_manifest, tmp_path):
    arguments = tiny_arguments("student", tiny_manifest, tmp_path)
    arguments += ["--trainer.max_epochs", "12", "--data.init_args.samples_per_epoch", "24"]
    arguments += ["--model.init_args.optimizer", "torch.optim.Adam"]
    arguments += ["--model.init_args.optimizer.init_args.lr", "0.02"]
    arguments += ["--data.init_args.preprocessing", "lotus.transforms.PercentileRange"]
    assert main(arguments) == 0
    folder = tmp_path / "student/tiny"
    assert main(["test", "--config", str(folder / "config.yaml")]) == 0
    rows = (folder / "scores.csv").read_text().splitlines()
    columns = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    assert columns["name"] == "mean"
    assert float(columns["dice"]) > 0.8
    assert np.isfinite(float(columns["hd95"]))
