"""What every alignment of unpaired student and teacher batches keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lotus.losses import Alignment
from lotus.tasks.description import build, describe

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

both_losses = pytest.mark.parametrize("name", ["score_divergence", "feature_variation"])


def one_hot(classes: Tensor, count: int) -> Tensor:
    return F.one_hot(classes, count).movedim(-1, 1).float()


def random_case(seed: int, channels: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps of a student, with gradient, and of a teacher, and the classes of both (two or more)."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(3, channels, 6, 6, generator=generator) for _ in range(2))
    count = max(channels, 2)
    own, other = (
        one_hot(torch.randint(0, count, (3, 6, 6), generator=generator), count) for _ in range(2)
    )
    return student.requires_grad_(), teacher, own, other


def uniform_case(temperature: float) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Student and teacher that say the same of every pixel: KL(teacher || student), by hand."""
    classes = one_hot(torch.arange(16).view(1, 4, 4) % 3, 3)
    for seed in range(3):
        logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed))
        student, teacher = (logits.double() / temperature).log_softmax(dim=1)
        divergence = (teacher.exp() * (teacher - student)).sum()
        maps = [row.view(1, 3, 1, 1).expand(1, 3, 4, 4) for row in logits]
        yield divergence, (*maps, classes, classes)


class AlignmentContract:
    """The checks; a subclass says which alignment it is."""

    implementation: ClassVar[type[Alignment]]
    is_of_pairs: ClassVar[bool]
    """Whether a student's image is compared with the teacher's image at the same place in the
    batch, rather than the batches as wholes."""

    @pytest.fixture
    def alignment(self) -> Alignment:
        return self.implementation()

    @both_losses
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("temperature", [0.5, 4.0])
    def test_values_are_within_their_range(self, name, channels, temperature):
        alignment = self.implementation(temperature=temperature)
        for seed in range(5):
            student, *others = random_case(seed, channels)
            loss = getattr(alignment, name)(5 * student, *others)
            assert loss.shape == ()
            assert loss.dtype == torch.float32
            assert loss > 1e-4
            assert name == "score_divergence" or loss <= 4

    def test_opposite_features_vary_by_no_more_than_4(self, alignment):
        """Pixels of the student are as their class, those of the teacher against it."""
        ones = torch.ones(1, 2, 4, 4)
        classes = one_hot(torch.zeros(1, 4, 4).long(), 2)
        scattered = -ones
        scattered[0, :, 0, 0] = 100
        found = alignment.feature_variation(ones, scattered, classes, classes)
        # Maps of 1 everywhere, and of -1 but for one pixel in sixteen.
        assert 3 < found <= 4

    @both_losses
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_student_like_its_teacher_loses_nothing(self, alignment, name, channels):
        _, teacher, _, classes = random_case(3, channels)
        loss = getattr(alignment, name)(teacher.clone(), teacher, classes, classes)
        assert loss.item() == pytest.approx(0, abs=1e-6)

    @both_losses
    def test_gradient_reaches_the_student_alone(self, alignment, name):
        student, teacher, own, other = random_case(4)
        before = [maps.clone() for maps in (student, teacher, own, other)]
        getattr(alignment, name)(student, teacher, own, other).backward()
        assert student.grad.isfinite().all()
        # Quantiles leave out no image and no class, though perhaps a pixel.
        assert (student.grad.abs().amax(dim=(2, 3)) > 0).all()
        assert teacher.grad is None
        assert all(map(torch.equal, before, (student, teacher, own, other)))

    @both_losses
    def test_nothing_but_the_student_carries_a_gradient(self, alignment, name):
        student, *others = random_case(4)
        assert not getattr(alignment, name)(student.detach(), *others).requires_grad

    @both_losses
    def test_pixels_of_no_class_have_no_part(self, alignment, name):
        student, teacher, own, other = random_case(7)
        own[0, :, :2], other[1, :, 3:] = 0, 0
        expected = getattr(alignment, name)(student, teacher, own, other)
        expected.backward()
        assert not student.grad[0, :, :2].any()
        assert student.grad[0, :, 2:].any()
        moved, taught = student.detach().clone(), teacher.clone()
        moved[0, :, :2], taught[1, :, 3:] = 9, -9
        found = getattr(alignment, name)(moved, taught, own, other)
        torch.testing.assert_close(found, expected.detach())

    def test_a_saturated_student_keeps_a_finite_gradient(self, alignment):
        student = torch.full((1, 1, 2, 2), -60.0, requires_grad=True)
        classes = one_hot(torch.ones(1, 2, 2).long(), 2)
        teacher = torch.full((1, 1, 2, 2), 60.0)
        alignment.score_divergence(student, teacher, classes, classes).backward()
        assert student.grad.isfinite().all()

    @pytest.mark.parametrize("logit", [-20.0, -60.0, 60.0])
    def test_a_collapsed_student_is_pulled_as_hard_as_its_scores_are_wrong(self, alignment, logit):
        """Of equal pixels the gradient of KL(teacher || student) is q_student - q_teacher."""
        student = torch.full((1, 1, 4, 4), logit, requires_grad=True)
        teacher = torch.full((1, 1, 4, 4), math.log(0.7 / 0.3))
        classes = one_hot(torch.ones(1, 4, 4).long(), 2)
        alignment.score_divergence(student, teacher, classes, classes).backward()
        expected = torch.tensor(logit).sigmoid() - 0.7
        torch.testing.assert_close(student.grad.sum(), expected)

    def test_images_without_a_shared_class_send_a_finite_zero(self, alignment):
        student, teacher, _, _ = random_case(5)
        background, everywhere = torch.zeros(3, 6, 6).long(), torch.ones(3, 6, 6).long()
        loss = alignment.feature_variation(
            student, teacher, one_hot(background, 2), one_hot(everywhere, 2)
        )
        loss.backward()
        assert loss.item() == 0
        assert student.grad.isfinite().all()

    def test_features_of_a_class_that_the_teacher_lacks_are_left_alone(self, alignment):
        student, teacher, own, other = random_case(6)
        other[:, 0] += other[:, 2]
        other[:, 2] = 0
        alignment.feature_variation(student, teacher, own, other).backward()
        absent = own[:, 2:].bool().expand_as(student)
        assert absent.any()
        assert not student.grad[absent].any()
        assert student.grad[~absent].any()

    @both_losses
    def test_a_class_that_both_lack_changes_nothing(self, alignment, name):
        student, teacher, own, other = random_case(7)
        loss = getattr(alignment, name)
        more = [torch.cat((classes, torch.zeros(3, 1, 6, 6)), dim=1) for classes in (own, other)]
        torch.testing.assert_close(
            loss(student, teacher, *more), loss(student, teacher, own, other)
        )

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
    def test_divergence_is_that_of_the_softened_scores_times_temperature_squared(self, temperature):
        alignment = self.implementation(temperature=temperature)
        for divergence, maps in uniform_case(temperature):
            found = alignment.score_divergence(*maps)
            torch.testing.assert_close(
                found, (temperature**2 * divergence).float(), atol=1e-5, rtol=1e-4
            )

    def test_a_hot_divergence_is_half_the_variance_of_the_difference(self):
        """The limit for T to infinity, which is why the divergence is scaled by T²."""
        alignment = self.implementation(temperature=30.0)
        for _, maps in uniform_case(1.0):
            difference = (maps[0] - maps[1])[0, :, 0, 0]
            limit = difference.var(correction=0) / 2
            torch.testing.assert_close(alignment.score_divergence(*maps), limit, atol=0, rtol=0.05)

    @pytest.mark.parametrize("temperature", [0.0, -1.0])
    def test_temperature_must_be_positive(self, temperature):
        with pytest.raises(ValueError, match=f"temperature must be positive, got {temperature}"):
            self.implementation(temperature=temperature)

    @both_losses
    def test_temperature_is_of_scores_alone(self, name):
        case = random_case(8)
        cold, hot = (
            getattr(self.implementation(temperature=value), name)(*case) for value in (1.0, 2.0)
        )
        assert torch.equal(cold, hot) == (name == "feature_variation")

    @both_losses
    def test_order_of_the_images_matters_only_where_they_are_pairs(self, alignment, name):
        student, teacher, own, other = random_case(9)
        loss: Loss = getattr(alignment, name)
        before = loss(student, teacher, own, other)
        turned = [maps.roll(1, 0) for maps in (student, teacher, own, other)]
        torch.testing.assert_close(loss(*turned), before)
        unpaired = loss(student, turned[1], own, turned[3])
        if self.is_of_pairs:
            assert not torch.isclose(unpaired, before, rtol=1e-3)
        else:
            torch.testing.assert_close(unpaired, before)

    @both_losses
    def test_order_of_the_pixels_matters_only_where_they_are_pairs(self, alignment, name):
        student, teacher, own, other = random_case(2)
        order = torch.randperm(36, generator=torch.Generator().manual_seed(0))
        shuffled = [
            maps.flatten(2)[..., order].view_as(maps) for maps in (student, teacher, own, other)
        ]
        loss: Loss = getattr(alignment, name)
        before = loss(student, teacher, own, other)
        torch.testing.assert_close(loss(*shuffled), before)
        unpaired = loss(student, shuffled[1], own, shuffled[3])
        if self.is_of_pairs:
            assert not torch.isclose(unpaired, before, rtol=1e-3)
        else:
            torch.testing.assert_close(unpaired, before)

    @both_losses
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, alignment, name, dtype):
        student, teacher, own, other = random_case(10)
        loss: Loss = getattr(alignment, name)
        rounded = [maps.detach().to(dtype) for maps in (student, teacher)]
        found = loss(*rounded, own, other)
        assert found.dtype == torch.float32
        assert torch.equal(found, loss(*(maps.float() for maps in rounded), own, other))

    def test_it_is_built_again_from_its_description(self):
        alignment = self.implementation(temperature=2.5)
        again = build(describe(alignment))
        assert type(again) is self.implementation
        assert describe(again) == describe(alignment)
        assert again.temperature == 2.5
