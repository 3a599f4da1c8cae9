import math

import pytest
import torch
from torch.nn import functional as F

from lotus.losses import ClassMeanDistillation, DiceWeightedCrossEntropy


def random_case(seed, channels=3, size=6):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, channels, size, size, generator=generator)
    classes = max(channels, 2)
    target = torch.randint(0, classes, (2, 1, size, size), generator=generator)
    return logits, target


def test_divergence_by_hand():
    # Mean logits: background 0 against 0, foreground 4 log 3 against 2 log 3. At T = 2 the second
    # class scores 9/10 against 3/4.
    first = torch.tensor([0.0, 0.0, 3.0, 5.0]).view(1, 1, 2, 2) * math.log(3)
    second = torch.tensor([-1.0, 1.0, 2.0]).view(1, 1, 1, 3) * math.log(3)
    targets = torch.tensor([0, 0, 1, 1]).view(1, 1, 2, 2), torch.tensor([0, 0, 1]).view(1, 1, 1, 3)
    p, q = (0.1, 0.9), (0.25, 0.75)
    forward = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    backward = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    expected = (0 + (forward + backward) / 2) / 2
    assert ClassMeanDistillation(2.0)(first, second, *targets).item() == pytest.approx(expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_reference_of_explicit_loops(channels):
    (first, first_target), (second, second_target) = (
        random_case(seed, channels, size) for seed, size in ((0, 6), (1, 4))
    )
    terms = []
    for label in range(max(channels, 2)):
        means = []
        for logits, target in ((first, first_target), (second, second_target)):
            scores = torch.cat([-logits / 2, logits / 2], dim=1) if channels == 1 else logits
            means.append(scores.movedim(1, -1)[target[:, 0] == label].mean(dim=0) / 3.0)
        p, q = (mean.softmax(dim=0) for mean in means)
        terms.append((F.kl_div(p.log(), q, reduction="sum") + (p * (p / q).log()).sum()) / 2)
    found = ClassMeanDistillation(3.0)(first, second, first_target, second_target)
    torch.testing.assert_close(found, torch.stack(terms).mean())


def test_equal_class_means_of_different_images_do_not_diverge():
    target = torch.tensor([0, 0, 1, 1]).view(1, 1, 1, 4)
    first = torch.tensor([1.0, 3.0, -2.0, 0.0]).view(1, 1, 1, 4)
    second = torch.tensor([2.0, 2.0, 4.0, -6.0]).view(1, 1, 1, 4)
    assert ClassMeanDistillation()(first, second, target, target).item() == 0


def test_both_modalities_count_alike():
    (first, first_target), (second, second_target) = random_case(2), random_case(3)
    loss = ClassMeanDistillation()
    found = loss(first, second, first_target, second_target)
    assert found > 0
    torch.testing.assert_close(found, loss(second, first, second_target, first_target))


def test_a_class_that_one_batch_lacks_is_left_out():
    (first, first_target), (second, _) = random_case(4), random_case(5)
    loss = ClassMeanDistillation()
    background = torch.zeros_like(first_target)
    assert loss(first, second, background, background + 1) == 0
    first_target = first_target.clamp(max=1)
    first.requires_grad_()
    loss(first, second, first_target, background).backward()
    assert not first.grad[(first_target == 1).expand_as(first)].any()
    assert first.grad[(first_target == 0).expand_as(first)].all()


def test_both_sides_learn():
    cases = [random_case(seed) for seed in (6, 7)]
    logits = [case[0].requires_grad_() for case in cases]
    ClassMeanDistillation()(*logits, *(case[1] for case in cases)).backward()
    assert all(value.grad.any() for value in logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    (first, first_target), (second, second_target) = random_case(8), random_case(9)
    rounded = [logits.to(dtype) for logits in (first, second)]
    found = ClassMeanDistillation()(*rounded, first_target, second_target)
    exact = [logits.float() for logits in rounded]
    assert found.dtype == torch.float32
    assert found == ClassMeanDistillation()(*exact, first_target, second_target)


def test_a_temperature_must_be_positive():
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        ClassMeanDistillation(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_dice_and_weighted_cross_entropy_by_explicit_loops(channels):
    logits, target = random_case(8, channels)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1) if channels == 1 else logits
    scores = two.softmax(dim=1)
    dice, entropy = [], 0.0
    for label in range(scores.shape[1]):
        truth, score = (target[:, 0] == label).float(), scores[:, label]
        overlap = 2 * (truth * score).sum()
        dice.append(1 - overlap / ((score**2).sum() + truth.sum()))
        entropy += (1 - truth.mean()) * -(truth * score.log()).mean()
    found = DiceWeightedCrossEntropy()(logits, target)
    torch.testing.assert_close(found, torch.stack(dice).mean() + entropy, atol=1e-5, rtol=1e-5)


def test_dice_and_weighted_cross_entropy_of_a_volume_is_that_of_its_slices_side_by_side():
    logits, target = random_case(4)
    folded = DiceWeightedCrossEntropy()(logits, target)
    sides = (2, 3)  # of the 6 rows
    volume = DiceWeightedCrossEntropy()(logits.unflatten(2, sides), target.unflatten(2, sides))
    torch.testing.assert_close(volume, folded)
