"""One training step of a classifier, with and without mask-guided attention.

``python -m benchmarks.attention [--backbone vgg16 --batch-size 2 --side 224 --rounds 7]``

The rounds of both are interleaved, so that a machine that slows down slows both. The ratio is also
given without the optimizer, whose time does not depend on the attention.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.training_step import Step, interleaved
from lotus.batch import PatchBatch
from lotus.networks import GuidedClassifier, TimmClassifier
from lotus.tasks import ClassificationTask, GuidedClassificationTask

PATCH = 55


def batch(size: int, count: int) -> PatchBatch:
    """A random batch in the form of the data module."""
    names = [str(number) for number in range(count)]
    return {
        "image": torch.rand(count, 3, size, size).contiguous(memory_format=torch.channels_last),
        "guide": (torch.rand(count, 1, PATCH, PATCH) > 0.9).float(),
        "label": torch.arange(count) % 2,
        "spacing_um": torch.ones(count, 2),
        "name": names,
        "slice": names,
        "patient": names,
        "group": names,
    }


def silent(task: ClassificationTask) -> ClassificationTask:
    """A task that runs without a trainer, with its weights in the order that training uses."""
    task.to(memory_format=torch.channels_last)
    task.__dict__["log"] = lambda *_, **__: None
    task.__dict__["log_dict"] = lambda *_, **__: None
    return task.train()


def gradients(task: ClassificationTask, own: PatchBatch) -> Step:
    """Forward and backward."""

    def step() -> None:
        task.zero_grad()
        task.training_step(own, 0).backward()  # type: ignore[no-untyped-call]

    return step


def whole(task: ClassificationTask, own: PatchBatch) -> Step:
    """Forward, backward, SGD."""
    optimizer = task.optimizer(list(task.parameters()))
    begun = gradients(task, own)

    def step() -> None:
        begun()
        optimizer.step()

    return step


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    own = batch(arguments.side, arguments.batch_size)
    backbone: nn.Module = TimmClassifier(arguments.backbone, negative_slope=0.01)
    # They share the backbone, so that memory does not hold it twice.
    tasks = {
        "plain": silent(ClassificationTask(backbone)),
        "with attention": silent(GuidedClassificationTask(network=GuidedClassifier(backbone))),
    }
    print(
        f"{arguments.backbone}, batch {arguments.batch_size} x {arguments.side} px, "
        f"{torch.get_num_threads()} thread(s), float32"
    )
    print("| what | plain | with attention | ratio (median of pairs) |\n|---|---|---|---|")
    kinds: dict[str, Callable[[ClassificationTask, PatchBatch], Step]] = {
        "forward and backward": gradients,
        "whole step": whole,
    }
    for what, made in kinds.items():
        steps = {name: made(task, own) for name, task in tasks.items()}
        seconds = interleaved(steps, arguments.rounds)
        pairs = zip(seconds["with attention"], seconds["plain"], strict=True)
        ratio = statistics.median(guided / plain for guided, plain in pairs)
        plain, guided = (1000 * statistics.median(times) for times in seconds.values())
        print(f"| {what} | {plain:.0f} ms | {guided:.0f} ms | {ratio:.3f} |")


if __name__ == "__main__":
    main()
