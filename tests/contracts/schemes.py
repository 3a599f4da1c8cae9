"""What every instance scheme keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from lotus.schemes import InstanceScheme
from lotus.tasks.description import build, describe

SIZE = (64, 72)


def separate_objects() -> tuple[Tensor, Tensor]:
    """Masks and instances of three images: far apart discs and squares, one object, nothing.

    The numbers have gaps, and the first is not the topmost; objects are of class 1 and 2 by turns.
    """
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    instances = np.zeros((3, *SIZE), np.int32)
    instances[0][(rows - 48) ** 2 + (columns - 18) ** 2 < 11**2] = 4
    instances[0][(rows - 16) ** 2 + (columns - 52) ** 2 < 9**2] = 9
    instances[0, 6:21, 5:20] = 7
    instances[1][(rows - 30) ** 2 + (columns - 40) ** 2 < 14**2] = 4
    mask = np.where(instances > 0, instances % 2 + 1, 0).astype(np.int64)
    return torch.from_numpy(mask), torch.from_numpy(instances)


def in_order(labels: np.ndarray) -> np.ndarray:
    """The same objects, numbered by their first pixels."""
    numbers, first = np.unique(labels, return_index=True)
    order = [number for _, number in sorted(zip(first, numbers, strict=True)) if number > 0]
    renumbered = np.zeros_like(labels)
    for number, old in enumerate(order, start=1):
        renumbered[labels == old] = number
    return renumbered


class SchemeContract(ABC):
    """The checks; a subclass says which scheme it is and what its ideal network answers."""

    implementation: ClassVar[type[InstanceScheme]]
    n_classes: ClassVar[int] = 1
    takes_volumes: ClassVar[bool] = False
    """Whether a third axis is worked on as such; all others refuse it."""

    @pytest.fixture
    def scheme(self) -> InstanceScheme:
        return self.implementation()

    @abstractmethod
    def logits(self, target: Tensor, channels: int, sure: float = 20.0) -> Tensor:
        """Raw output (B, K, Y, X) of a network that is so sure of a target (B, C, Y, X)."""

    def example(self) -> tuple[Tensor, Tensor]:
        """Masks of as many classes as the scheme is to tell apart, and instances."""
        mask, instances = separate_objects()
        return mask.clamp(max=self.n_classes), instances

    def answer(self, scheme: InstanceScheme, mask: Tensor, instances: Tensor) -> np.ndarray:
        """Activated output (B, K, Y, X) of that network."""
        target = scheme.encode(mask, instances)
        return scheme.activate(self.logits(target, scheme.channels(self.n_classes))).numpy()

    def noise(self, scheme: InstanceScheme) -> np.ndarray:
        """Activated output (3, K, Y, X) of a network that is often wrong."""
        channels = scheme.channels(self.n_classes)
        logits = self.logits(scheme.encode(*self.example()), channels, sure=2.0)
        error = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
        return scheme.activate(logits + error).numpy()

    def test_objects_come_back(self, scheme):
        mask, instances = self.example()
        for found, wanted in zip(self.answer(scheme, mask, instances), instances, strict=True):
            np.testing.assert_array_equal(in_order(scheme.decode(found)), in_order(wanted.numpy()))

    def test_classes_come_back(self, scheme):
        mask, instances = self.example()
        for found, wanted in zip(self.answer(scheme, mask, instances), mask, strict=True):
            classes = scheme.classes(found, scheme.decode(found))
            assert classes.dtype == np.uint8
            np.testing.assert_array_equal(classes, wanted)

    def test_foreground_is_where_the_objects_are(self, scheme):
        mask, instances = self.example()
        for found, wanted in zip(self.answer(scheme, mask, instances), instances, strict=True):
            np.testing.assert_array_equal(scheme.foreground(found) > 0.5, wanted > 0)

    def test_no_objects_are_none(self, scheme):
        nothing = torch.zeros(1, *SIZE, dtype=torch.int32)
        assert not scheme.encode(nothing.long(), nothing).any()
        (found,) = self.answer(scheme, nothing.long(), nothing)
        labels = scheme.decode(found)
        assert not labels.any()
        assert not scheme.classes(found, labels).any()
        assert scheme.foreground(found).max() < 0.5

    def test_labels_have_no_gaps_whatever_the_network_says(self, scheme):
        noise = self.noise(scheme)
        assert scheme.decode(noise[0]).any()
        for probability in noise:
            before = probability.copy()
            labels = scheme.decode(probability)
            assert labels.dtype == np.int32
            assert labels.shape == SIZE
            np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
            np.testing.assert_array_equal(probability, before)

    def test_small_objects_are_dropped(self, scheme):
        mask, instances = self.example()
        probability = self.answer(scheme, mask, instances)[0]
        sizes = np.unique(instances[0], return_counts=True)[1][1:]
        assert len(set(sizes)) == 3
        for size in sizes:
            labels = self.implementation(minimum_size=int(size)).decode(probability)
            np.testing.assert_array_equal(np.unique(labels), np.arange((sizes >= size).sum() + 1))

    def test_classes_are_those_that_there_are_and_lie_in_objects(self, scheme):
        for probability in self.noise(scheme):
            labels = scheme.decode(probability)
            classes = scheme.classes(probability, labels)
            np.testing.assert_array_equal(classes > 0, labels > 0)
            assert classes.max() <= self.n_classes

    def test_foreground_is_a_probability(self, scheme):
        for probability in self.noise(scheme):
            foreground = scheme.foreground(probability)
            assert foreground.dtype == np.float32
            assert foreground.shape == SIZE
            assert foreground.min() >= 0
            # One minus the background's softmax, rounded.
            assert foreground.max() <= 1 + 1e-6

    def test_half_precision_is_activated_in_float32(self, scheme):
        logits = torch.zeros(1, scheme.channels(self.n_classes), 4, 4, dtype=torch.bfloat16)
        activated = scheme.activate(logits)
        assert activated.dtype == torch.float32
        assert activated.shape == logits.shape

    def test_a_batch_is_encoded_image_by_image_and_left_alone(self, scheme):
        mask, instances = self.example()
        before = mask.clone(), instances.clone()
        target = scheme.encode(mask, instances)
        assert torch.equal(mask, before[0])
        assert torch.equal(instances, before[1])
        one_by_one = [
            scheme.encode(mask[index : index + 1], instances[index : index + 1])
            for index in range(len(mask))
        ]
        assert torch.equal(target, torch.cat(one_by_one))

    def test_numbers_of_objects_do_not_matter(self, scheme):
        mask, instances = self.example()
        renumbered = torch.where(instances > 0, 20 - instances, 0)
        assert torch.equal(scheme.encode(mask, renumbered), scheme.encode(mask, instances))

    def test_the_usual_loss_takes_the_output_and_the_target(self, scheme):
        target = scheme.encode(*self.example())
        channels = scheme.channels(self.n_classes)
        loss = scheme.default_loss(self.n_classes)
        generator = torch.Generator().manual_seed(0)
        unsure = torch.randn((len(target), channels, *SIZE), generator=generator).requires_grad_()
        value = loss(unsure, target)
        value.backward()
        assert value.shape == ()
        assert unsure.grad.isfinite().all()
        # Every output learns; of a softmax every class has a part in the others.
        assert (unsure.grad.abs().amax(dim=(0, 2, 3)) > 0).all()
        assert loss(self.logits(target, channels), target) < value / 2

    def test_it_is_built_again_from_its_description(self, scheme):
        description = describe(scheme)
        assert description["class_path"] == f"lotus.schemes.{self.implementation.__name__}"
        again = build(description)
        assert type(again) is self.implementation
        assert vars(again) == vars(scheme)

    def test_no_class_at_all_is_refused(self, scheme):
        with pytest.raises(ValueError, match="0 foreground classes"):
            scheme.channels(0)

    def test_a_third_axis_is_never_cut_off(self, scheme):
        instances = torch.zeros(1, 4, 24, 24, dtype=torch.int32)
        instances[0, 1:3, 4:20, 4:20] = 1
        volume = np.zeros((scheme.channels(self.n_classes), 4, 24, 24), np.float32)
        calls = [
            lambda: scheme.encode(instances.long(), instances),
            lambda: scheme.decode(volume),
        ]
        if self.takes_volumes:
            assert [call().shape[-3:] for call in calls] == [(4, 24, 24)] * 2
            found = self.answer(scheme, instances.long(), instances)[0]
            np.testing.assert_array_equal(scheme.decode(found), instances[0])
            return
        for call in calls:
            with pytest.raises(ValueError, match=r"expected \([BK], Y, X\)") as caught:
                call()
            assert "\n" not in str(caught.value)
