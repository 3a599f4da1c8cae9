"""Dice and focal loss around the mask, against plain loops and SciPy's dilation."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from lotus.losses import DiceFocalAroundMask, loss_of_known_pixels


def batch(seed=0, size=(3, 1, 16, 13)):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, generator=generator)
    target = (torch.rand(size, generator=generator) < 0.05).long()
    target[1] = 0
    return logits, target


def by_loops(logits, target, known, radius, gamma, weight):
    """The equation, pixel by pixel in double precision."""
    square = np.ones((2 * radius + 1, 2 * radius + 1), bool)
    overlap = scores = truths = focal = count = 0.0
    for image, truth, here in zip(logits[:, 0].tolist(), target[:, 0].numpy(), known, strict=True):
        near = binary_dilation((truth > 0) & here, square)
        for (y, x), is_near in np.ndenumerate(near):
            if not here[y, x]:
                continue
            p = 1 / (1 + math.exp(-image[y][x]))
            overlap += 2 * p * (truth[y, x] > 0)
            scores += p
            truths += truth[y, x] > 0
            if is_near:
                right = p if truth[y, x] > 0 else 1 - p
                focal -= (1 - right) ** gamma * math.log(right)
                count += 1
    return 1 - (overlap + 1e-5) / (scores + truths + 1e-5) + weight * focal / max(count, 1)


@pytest.mark.parametrize(("radius", "gamma", "weight"), [(1, 2.0, 1.0), (3, 0.0, 1.0), (2, 1.5, 4)])
@pytest.mark.parametrize("some_ignored", [False, True])
def test_by_the_equation(radius, gamma, weight, some_ignored):
    logits, target = batch()
    ignored = torch.zeros(3, 16, 13, dtype=torch.bool)
    if some_ignored:
        ignored[0, :, 8:] = ignored[1] = ignored[2, 3:5] = True
    loss = DiceFocalAroundMask(radius, gamma=gamma, focal_weight=weight)
    found = loss_of_known_pixels(loss, logits, target, ignored if some_ignored else None)
    expected = by_loops(logits, target, ~ignored.numpy(), radius, gamma, weight)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_an_ignored_margin_is_as_if_it_were_not_there():
    """A patch that was padded has the loss of the patch."""
    logits, target = batch()
    ignored = torch.ones(3, 16, 13, dtype=torch.bool)
    inner = np.s_[..., 2:12, 3:10]
    ignored[inner] = False
    loss = DiceFocalAroundMask(2)
    found = loss_of_known_pixels(loss, logits, target, ignored)
    torch.testing.assert_close(found, loss(logits[inner], target[inner]))


def test_only_dice_looks_at_what_is_far_from_the_mask():
    logits, target = torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    target[..., 4, 4] = 1
    moved = logits.clone().requires_grad_()
    both, dice = DiceFocalAroundMask(2), DiceFocalAroundMask(2, focal_weight=0)
    (both(moved, target) - dice(moved, target)).backward()
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[2:7, 2:7] = True
    assert torch.equal(moved.grad[0, 0] != 0, expected)
    # Towards less foreground around the mask, and more in it.
    assert moved.grad[0, 0, 4, 4] < 0 < moved.grad[0, 0, 2, 2]


def test_foreground_everywhere_is_no_good_answer():
    _, target = batch()
    loss = DiceFocalAroundMask()
    everywhere = loss(torch.full(target.shape, 8.0), target)
    nowhere = loss(torch.full(target.shape, -8.0), target)
    right = loss(16.0 * target - 8.0, target)
    assert right < 0.05
    assert everywhere > nowhere / 2 > right


def test_without_foreground_it_is_defined():
    logits = torch.full((2, 1, 4, 4), -20.0, requires_grad=True)
    loss = DiceFocalAroundMask()(logits, torch.zeros(2, 1, 4, 4))
    loss.backward()
    assert 0 <= loss < 1
    assert logits.grad.isfinite().all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="takes one logit per pixel"):
        DiceFocalAroundMask()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))
    for arguments in ({"dilation_px": 0}, {"gamma": -1}, {"focal_weight": -1}):
        with pytest.raises(ValueError, match="expected at least 1, 0 and 0"):
            DiceFocalAroundMask(**arguments)
