"""A step that segments and classifies, and what is logged of both."""

import pytest
import torch
from torch.nn import functional as F

from lotus.losses import DiceFocalAroundMask, UncertaintyWeights
from lotus.networks import JointClassifier, TimmClassifier
from lotus.tasks import JointClassificationTask
from tests.tasks.patches import PatchData, trainer_in
from tests.tasks.unpaired import keep_log, names_shown


def task_with(**arguments):
    network = JointClassifier(TimmClassifier("test_resnet"), (8, 8, 8, 4, 4))
    return JointClassificationTask(network=network, **arguments)


def batch_with(known):
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(4, 64, 64, generator=generator) > 0.7).long()
    ignored = torch.ones(4, 64, 64, dtype=torch.bool)
    ignored[:known] = False
    return {
        "image": torch.rand(4, 3, 64, 64, generator=generator),
        "label": torch.tensor([0, 1, 1, 0]),
        "mask": mask.masked_fill(ignored, 0),
        "ignored": ignored,
    }


@pytest.mark.parametrize("weighting", [None, UncertaintyWeights()])
def test_the_loss_is_that_of_both_aims_and_of_the_guidance(weighting):
    task = keep_log(task_with(weighting=weighting, lambda_guidance=0.3))
    if weighting is not None:
        torch.nn.init.constant_(task.weighting.log_variances, 1.0)
    batch = batch_with(known=2)
    loss = task.training_step(batch, 0)
    found = task.network.joint(batch["image"], batch["mask"], batch["ignored"])
    entropy = F.cross_entropy(found.logits, batch["label"])
    truth = batch["mask"][:2, None].float()
    overlap = DiceFocalAroundMask()(found.segmentation[:2], truth)
    target = found.guided.target
    assert (target.amax((1, 2, 3)) > 0).all()
    square = F.mse_loss(found.guided.attention, target)
    scale, paid = (1.0, 0.0) if weighting is None else (torch.e**-1, 1.0)
    expected = scale * (entropy + overlap) + paid + 0.3 * square
    torch.testing.assert_close(loss, expected)
    assert task.logged.keys() - names_shown(task) == {"train_loss"}
    assert names_shown(task) - {""} <= task.logged.keys()


def test_a_batch_without_masks_teaches_the_classes_alone():
    task = keep_log(task_with())
    loss = task.training_step(batch_with(known=0), 0)
    loss.backward()
    assert "train_loss_segmentation" not in task.logged
    assert all(weight.grad is None for weight in task.network.decoder.parameters())


def test_dice_is_of_all_annotated_pixels():
    task = task_with().eval()
    batch = batch_with(known=3)
    with torch.no_grad():
        task.validation_step(batch, 0)
        found = task.network.joint(batch["image"]).segmentation[:3, 0] > 0
    truth = batch["mask"][:3] > 0
    expected = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    torch.testing.assert_close(task.val_dice.compute(), expected)


def test_data_without_masks_are_refused(tmp_path):
    data = PatchData()
    data.annotated = False
    with pytest.raises(ValueError, match=r"no masks to learn .*: set annotated: true"):
        trainer_in(tmp_path).fit(task_with(), data)
    with pytest.raises(ValueError, match="TimmClassifier does not segment"):
        JointClassificationTask(network=TimmClassifier("test_resnet"))
    with pytest.raises(ValueError, match="lambda_guidance >= 0, got -2"):
        task_with(lambda_guidance=-2)
