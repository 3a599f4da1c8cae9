"""The segmenter on VGG16's encoder: the U-Net of segmentation_models_pytorch, by class path."""

import pytest
import torch

from lotus.losses import DiceFocalAroundMask
from lotus.networks import check_distillable
from lotus.tasks import SegmentationTask
from lotus.tasks.description import build
from tests.tasks.unpaired import keep_log


def described(encoder):
    return {
        "class_path": "segmentation_models_pytorch.Unet",
        "init_args": {"encoder_name": encoder, "encoder_weights": None, "classes": 1},
    }


@pytest.mark.slow
def test_the_encoder_is_the_feature_part_of_vgg16():
    with torch.device("meta"):
        network = build(described("vgg16"))
    count = sum(weight.numel() for weight in network.encoder.parameters())
    assert count == 14_714_688  # VGG16 without its linear layers


@pytest.mark.slow
def test_it_learns_as_a_segmentation_task_and_takes_windows_of_patches_and_slices():
    task = keep_log(SegmentationTask(build(described("vgg11")), ["lacuna"], DiceFocalAroundMask()))
    task.setup("fit")
    mask = (torch.rand(2, 64, 64) > 0.8).long()
    ignored = torch.zeros(2, 64, 64, dtype=torch.bool)
    ignored[:, :4] = True
    batch = {
        "image": torch.rand(2, 3, 64, 64),
        "mask": mask.masked_fill(ignored, 0),
        "instances": mask.masked_fill(ignored, 0).int(),
        "ignored": ignored,
    }
    task.training_step(batch, 0).backward()
    assert all(weight.grad is not None for weight in task.network.decoder.parameters())
    task.eval()
    with torch.inference_mode():
        found = task.predict_step({"image": torch.rand(1, 3, 70, 90)}, 0)
    assert found["labels"].shape == (70, 90)
    check_distillable(task.network, 3)
