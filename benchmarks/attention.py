"""One training step of a classifier, with and without mask-guided attention.

``python -m benchmarks.attention [--backbone vgg16 --batch-size 2 --side 224 --rounds 7]``

Processor time, so that other work on the machine counts little; the rounds of both are interleaved.
"""

import argparse
import statistics
import time

import torch
from torch import nn

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


def seconds_of_step(task: ClassificationTask, own: PatchBatch) -> float:
    """Processor time of forward and backward; the optimizer's does not depend on the attention."""
    task.zero_grad()
    begun = time.process_time()
    task.training_step(own, 0).backward()  # type: ignore[no-untyped-call]
    return time.process_time() - begun


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
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(arguments.rounds + 1):
        for name, task in tasks.items():
            spent = seconds_of_step(task, own)
            if turn:  # The first is not counted.
                seconds[name].append(spent)
    plain, guided = seconds.values()
    ratio = statistics.median(one / other for one, other in zip(guided, plain, strict=True))
    print("| step | median | ratio (median of pairs) |\n|---|---|---|")
    print(f"| plain | {1000 * statistics.median(plain):.0f} ms | 1 |")
    print(f"| with attention | {1000 * statistics.median(guided):.0f} ms | {ratio:.3f} |")


if __name__ == "__main__":
    main()
