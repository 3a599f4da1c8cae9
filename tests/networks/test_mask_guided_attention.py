"""Mask-guided attention in numbers that can be followed by hand."""

import math

import pytest
import torch

from lotus.losses import MaskGuidanceLoss
from lotus.networks import MaskGuidedAttention
from lotus.networks.mask_guided_attention import attention_target


def attention_of(multiplier, mean_weight, maximum_weight, bias):
    module = MaskGuidedAttention(multiplier)
    with torch.no_grad():
        module.mixing.weight.copy_(torch.tensor([mean_weight, maximum_weight])[None, :, None, None])
        module.mixing.bias.fill_(bias)
    return module


def test_the_attention_is_of_the_mean_and_the_maximum_over_channels():
    features = torch.tensor([[[[1.0, -2.0]], [[5.0, 0.0]]]])  # two channels of one row
    found = attention_of("attention", 0.5, -0.25, 0.1)(features)
    logits = [0.5 * 3.0 - 0.25 * 5.0 + 0.1, 0.5 * -1.0 - 0.25 * 0.0 + 0.1]
    expected = [1 / (1 + math.exp(-value)) for value in logits]
    torch.testing.assert_close(found.attention, torch.tensor([[[expected]]]))
    first, second = (0.5 + 0.5 * value for value in expected)
    torch.testing.assert_close(
        found.features, torch.tensor([[[[1.0 * first, -2.0 * second]], [[5.0 * first, 0.0]]]])
    )
    assert found.target is None


def test_the_target_is_the_pooled_mask_by_its_maximum_in_each_image():
    guide = torch.zeros(3, 1, 4, 4)
    guide[0, 0, :2, :2] = 1.0  # all of the first quarter
    guide[0, 0, 0, 2] = 1.0  # a fourth of the second
    guide[1, 0, 3, 3] = 0.5  # an eighth of the last, which is the most
    expected = torch.tensor([[[[1.0, 0.25], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 1.0]]]])
    found = attention_target(guide, (2, 2))
    torch.testing.assert_close(found[:2], expected)
    assert torch.equal(found[2], torch.zeros(1, 2, 2))


def test_a_mask_whose_side_is_no_multiple_of_the_map_is_averaged_over_fields():
    """55 px on 7 fields: field i has the pixels floor(55 i / 7) ... ceil(55 (i + 1) / 7)."""
    guide = (torch.rand(1, 1, 55, 55) > 0.9).float()
    edges = [(55 * i // 7, -(-55 * (i + 1) // 7)) for i in range(7)]
    means = torch.tensor([[guide[0, 0, t:b, left:r].mean() for left, r in edges] for t, b in edges])
    torch.testing.assert_close(attention_target(guide, (7, 7))[0, 0], means / means.max())


def test_features_may_be_multiplied_by_the_mask():
    features = torch.rand(2, 3, 2, 2)
    guide = torch.zeros(2, 1, 2, 2)
    guide[0, 0, 0, 0] = 0.2
    found = attention_of("mask", 1.0, 1.0, 0.0)(features, guide)
    torch.testing.assert_close(found.features[0, :, 0, 0], features[0, :, 0, 0])
    torch.testing.assert_close(found.features[0, :, 1], 0.5 * features[0, :, 1])
    torch.testing.assert_close(found.features[1], 0.5 * features[1])


def test_multiplying_by_a_mask_needs_one():
    with pytest.raises(ValueError, match=r"multiplier: mask.*there is none: give a guide"):
        MaskGuidedAttention("mask")(torch.rand(1, 2, 3, 3))
    with pytest.raises(ValueError, match="multiplier is 'both'; expected 'attention' or 'mask'"):
        MaskGuidedAttention("both")


def test_images_with_an_empty_mask_do_not_count():
    attention = torch.tensor([0.5, 0.25, 0.75])[:, None, None, None].expand(3, 1, 2, 2)
    target = torch.zeros(3, 1, 2, 2)
    target[0], target[1, 0, 0, 0] = 1.0, 1.0
    first = 0.5**2
    second = (0.75**2 + 3 * 0.25**2) / 4
    found = MaskGuidanceLoss()(attention, target)
    torch.testing.assert_close(found, torch.tensor((first + second) / 2))


def test_without_any_object_the_loss_is_nothing_and_has_a_gradient_of_nothing():
    attention = torch.rand(2, 1, 3, 3, requires_grad=True)
    loss = MaskGuidanceLoss()(attention, torch.zeros(2, 1, 3, 3))
    loss.backward()
    assert float(loss) == 0.0
    assert torch.equal(attention.grad, torch.zeros(2, 1, 3, 3))
