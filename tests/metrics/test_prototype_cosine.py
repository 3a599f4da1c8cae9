import math

import pytest
import torch

from lotus.metrics.prototype_cosine import prototype_cosine


def test_by_hand():
    # The teacher's only class lies along (1, 0); the student's pixels at 0 and 45 degrees to it.
    teacher = torch.tensor([[[[2.0, 4.0]], [[0.0, 0.0]]]])
    student = torch.tensor([[[[3.0, 1.0]], [[0.0, 1.0]]]])
    classes = torch.ones(1, 1, 1, 2)
    found = prototype_cosine(student, teacher, classes, classes)
    assert found.item() == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_classes_the_teacher_does_not_show_are_left_out():
    teacher = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    student = torch.tensor([[[[1.0, -1.0]], [[0.0, 0.0]]]])
    first = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    both = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    assert prototype_cosine(student, teacher, both, first).item() == pytest.approx(1.0)
