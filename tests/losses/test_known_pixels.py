"""Losses over the pixels of which the truth is known."""

import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn
from torch.nn import functional as F

from lotus.losses import (
    DiceFocalAroundMask,
    DiceWeightedCrossEntropy,
    FlowLoss,
    loss_of_known_pixels,
)

IGNORED = torch.zeros(3, 8, 8, dtype=torch.bool)
IGNORED[0, :, 5:] = IGNORED[1, 2:4, 1] = True

CASES = {
    "sigmoid": (DiceCELoss(sigmoid=True), 1, 1),
    "softmax": (DiceCELoss(softmax=True, to_onehot_y=True, include_background=False), 3, 1),
    "weighted": (DiceWeightedCrossEntropy(), 3, 1),
    "flow": (FlowLoss(), 3, 3),
    "neighbours": (DiceFocalAroundMask(1), 1, 1),
}


def case(name):
    loss, channels, targets = CASES[name]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, channels, 8, 8, generator=generator).requires_grad_()
    target = torch.randint(0, max(channels, 2), (3, targets, 8, 8), generator=generator)
    return loss, logits, target.float()


@pytest.mark.parametrize("name", CASES)
def test_ignored_pixels_get_no_gradient_and_all_others_do(name):
    loss, logits, target = case(name)
    loss_of_known_pixels(loss, logits, target, IGNORED).backward()
    moved = logits.grad.abs().amax(dim=1) > 0
    assert torch.equal(moved, ~IGNORED)


@pytest.mark.parametrize("name", CASES)
def test_whatever_stands_at_ignored_pixels_changes_nothing(name):
    loss, logits, target = case(name)
    expected = loss_of_known_pixels(loss, logits, target, IGNORED)
    other = torch.where(IGNORED[:, None], 50.0, logits), torch.where(IGNORED[:, None], 1.0, target)
    torch.testing.assert_close(loss_of_known_pixels(loss, *other, IGNORED), expected)


def test_dice_and_cross_entropy_by_their_formulas():
    _, logits, target = case("sigmoid")
    terms = []
    for own, truth, known in zip(logits[:, 0], target[:, 0], ~IGNORED, strict=True):
        score, truth, own = own.sigmoid()[known], truth[known], own[known]
        dice = 1 - 2 * (score * truth).sum() / (score.sum() + truth.sum())
        terms.append(dice + F.binary_cross_entropy_with_logits(own, truth))
    found = loss_of_known_pixels(CASES["sigmoid"][0], logits, target, IGNORED)
    torch.testing.assert_close(found, torch.stack(terms).mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("ignored", [None, IGNORED & False])
def test_a_batch_that_is_known_as_a_whole_is_handed_on(ignored):
    class Shape(nn.Module):
        def forward(self, logits, target):
            assert logits.shape == target.shape == (3, 3, 8, 8)
            return logits.sum() * 0 + 7

    _, logits, target = case("flow")
    assert loss_of_known_pixels(Shape(), logits, target, ignored) == 7


def test_images_of_which_nothing_is_known_are_left_out():
    loss, logits, target = case("sigmoid")
    ignored = IGNORED.clone()
    ignored[2] = True
    expected = loss_of_known_pixels(loss, logits[:2], target[:2], IGNORED[:2])
    torch.testing.assert_close(loss_of_known_pixels(loss, logits, target, ignored), expected)
    nothing = loss_of_known_pixels(loss, logits, target, ignored | True)
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()
