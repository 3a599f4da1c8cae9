import math

import pytest
import torch
from torch.nn import functional as F

from lotus.losses import ClassAlignment, PixelAlignment, feature_variation_map, log_scores
from tests.contracts.alignments import one_hot, random_case


def test_one_logit_is_two_classes():
    scores = log_scores(torch.tensor([0.0, math.log(3)]).view(1, 1, 1, 2), temperature=1).exp()
    torch.testing.assert_close(scores[0, :, 0], torch.tensor([[0.5, 0.25], [0.5, 0.75]]))


def test_temperature_flattens():
    logits = torch.tensor([2 * math.log(3)]).view(1, 1, 1, 1)
    torch.testing.assert_close(log_scores(logits, 2.0).exp().flatten(), torch.tensor([0.25, 0.75]))


def test_variation_map_by_hand():
    # Class 1 holds (1, 0) and (0, 1): its prototype is (.5, .5), at 45 degrees to both.
    features = torch.tensor([[[[1.0, 0.0, 3.0]], [[0.0, 1.0, 0.0]]]])
    classes = one_hot(torch.tensor([[[1, 1, 0]]]), 2)
    expected = torch.tensor([[[math.sqrt(0.5), math.sqrt(0.5), 1.0]]])
    torch.testing.assert_close(feature_variation_map(features, classes), expected)


def test_pixel_divergence_is_torchs_kl_of_teacher_against_student():
    student, teacher, *classes = random_case(0, channels=3)
    expected = (
        F.kl_div(F.log_softmax(student, 1), F.softmax(teacher, 1), reduction="none").sum(1).mean()
    )
    found = PixelAlignment().score_divergence(student, teacher, *classes)
    torch.testing.assert_close(found, expected)


def test_divergence_scales_with_temperature_squared():
    student, teacher, *classes = random_case(1)
    warm = PixelAlignment(temperature=3.0).score_divergence(student, teacher, *classes)
    plain = PixelAlignment().score_divergence(student / 3, teacher / 3, *classes)
    torch.testing.assert_close(warm, 9 * plain)


def test_class_divergence_by_hand():
    # Student's foreground mean probability .5, teacher's .75; no background in the teacher.
    student = torch.tensor([[[[0.0, 5.0]]]])
    teacher = torch.full((1, 1, 1, 2), math.log(3))
    found = ClassAlignment().score_divergence(
        student, teacher, one_hot(torch.tensor([[[1, 0]]]), 2), one_hot(torch.tensor([[[1, 1]]]), 2)
    )
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_class_divergence_is_that_of_the_mean_scores():
    """In plain probabilities, as long as none is near 0; the mean of logs would be another."""
    student, teacher, own, other = random_case(3)
    expected = []
    for index in range(3):
        mean_student = student.detach().softmax(1).movedim(1, -1)[own[:, index].bool()].mean(0)
        mean_teacher = teacher.softmax(1).movedim(1, -1)[other[:, index].bool()].mean(0)
        expected.append((mean_teacher * (mean_teacher / mean_student).log()).sum())
    found = ClassAlignment().score_divergence(student, teacher, own, other)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_pixel_variation_skips_classes_absent_from_the_other_image():
    # Only background is shared, at one pixel; there both maps are 1 (a class of one direction).
    student = torch.tensor([[[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]])
    teacher = torch.tensor([[[[1.0, 1.0, 1.0]], [[1.0, -1.0, 0.0]]]])
    loss = PixelAlignment().feature_variation(
        student,
        teacher,
        one_hot(torch.tensor([[[0, 1, 1]]]), 2),
        one_hot(torch.tensor([[[0, 0, 0]]]), 2),
    )
    prototype = torch.tensor([1.0, 0.0])
    expected = (1 - F.cosine_similarity(torch.tensor([1.0, 1.0]), prototype, dim=0)) ** 2
    torch.testing.assert_close(loss, expected)


def test_class_divergence_without_a_shared_class_is_a_finite_zero():
    student, teacher, *_ = random_case(2)
    classes = (one_hot(torch.full((3, 6, 6), label), 2) for label in (0, 1))
    loss = ClassAlignment().score_divergence(student, teacher, *classes)
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def test_quantiles_must_be_at_least_one():
    with pytest.raises(ValueError, match="quantiles must be at least 1"):
        ClassAlignment(quantiles=0)
