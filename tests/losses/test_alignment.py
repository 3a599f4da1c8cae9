import math

import pytest
import torch
from torch.nn import functional as F

from lotus.losses import ClassAlignment, PixelAlignment, feature_variation_map, log_scores

ALIGNMENTS = [PixelAlignment(), ClassAlignment()]


def one_hot(classes, count=2):
    return F.one_hot(torch.as_tensor(classes), count).movedim(-1, 1).float()


def random_case(seed, channels=1):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(2, channels, 6, 6, generator=generator) for _ in range(2))
    classes = [
        one_hot(torch.randint(0, 2, (2, 6, 6), generator=generator), max(channels, 2))
        for _ in range(2)
    ]
    return student.requires_grad_(), teacher, *classes


def test_one_logit_is_two_classes():
    scores = log_scores(torch.tensor([0.0, math.log(3)]).view(1, 1, 1, 2), temperature=1).exp()
    torch.testing.assert_close(scores[0, :, 0], torch.tensor([[0.5, 0.25], [0.5, 0.75]]))


def test_temperature_flattens():
    logits = torch.tensor([2 * math.log(3)]).view(1, 1, 1, 1)
    torch.testing.assert_close(log_scores(logits, 2.0).exp().flatten(), torch.tensor([0.25, 0.75]))


def test_variation_map_by_hand():
    # Class 1 holds (1, 0) and (0, 1): its prototype is (.5, .5), at 45 degrees to both.
    features = torch.tensor([[[[1.0, 0.0, 3.0]], [[0.0, 1.0, 0.0]]]])
    classes = one_hot([[[1, 1, 0]]])
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
        student, teacher, one_hot([[[1, 0]]]), one_hot([[[1, 1]]])
    )
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_class_alignment_ignores_where_pixels_lie():
    student, teacher, own, other = random_case(2, channels=3)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(0))

    def shuffled(maps):
        return maps.flatten(2)[..., order].view_as(maps)

    for name in ("score_divergence", "feature_variation"):
        function = getattr(ClassAlignment(), name)
        before = function(student, teacher, own, other)
        after = function(student, shuffled(teacher), own, shuffled(other))
        torch.testing.assert_close(before, after)


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize("name", ["score_divergence", "feature_variation"])
def test_loss_is_zero_for_the_teacher_itself_and_positive_otherwise(alignment, name):
    student, teacher, own, other = random_case(3, channels=3)
    function = getattr(alignment, name)
    assert float(function(teacher, teacher, other, other)) == pytest.approx(0, abs=1e-6)
    assert float(function(student, teacher, own, other)) > 1e-4


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize("name", ["score_divergence", "feature_variation"])
def test_gradient_reaches_the_student(alignment, name):
    student, teacher, own, other = random_case(4, channels=3)
    getattr(alignment, name)(student, teacher, own, other).backward()
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("alignment", ALIGNMENTS, ids=lambda item: type(item).__name__)
def test_images_without_a_shared_class_send_a_finite_zero(alignment):
    student, teacher, _, _ = random_case(5, channels=3)
    empty, full = torch.zeros(2, 6, 6).long(), torch.ones(2, 6, 6).long()
    loss = alignment.feature_variation(student, teacher, one_hot(empty), one_hot(full))
    loss.backward()
    assert float(loss) == 0
    assert student.grad.isfinite().all()


def test_pixel_variation_skips_classes_absent_from_the_other_image():
    # Only background is shared, at one pixel; there both maps are 1 (a class of one direction).
    student = torch.tensor([[[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]])
    teacher = torch.tensor([[[[1.0, 1.0, 1.0]], [[1.0, -1.0, 0.0]]]])
    loss = PixelAlignment().feature_variation(
        student, teacher, one_hot([[[0, 1, 1]]]), one_hot([[[0, 0, 0]]])
    )
    prototype = torch.tensor([1.0, 0.0])
    expected = (1 - F.cosine_similarity(torch.tensor([1.0, 1.0]), prototype, dim=0)) ** 2
    torch.testing.assert_close(loss, expected)


def test_saturated_student_keeps_a_finite_gradient():
    student = torch.full((1, 1, 2, 2), -60.0, requires_grad=True)
    teacher = torch.full((1, 1, 2, 2), 60.0)
    classes = one_hot(torch.ones(1, 2, 2).long())
    for alignment in ALIGNMENTS:
        alignment.score_divergence(student, teacher, classes, classes).backward()
        assert student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        PixelAlignment(temperature)


def test_quantiles_must_be_at_least_one():
    with pytest.raises(ValueError, match="quantiles must be at least 1"):
        ClassAlignment(quantiles=0)
