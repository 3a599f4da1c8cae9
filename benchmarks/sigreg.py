"""SIGReg beside lightly's: share of a ViT-S step, values, and memory by the size of chunks.

``python -m benchmarks.sigreg [--images 256 --dim 512 --directions 1024 --rounds 5]``

Processor time, so that other work on the machine counts little; the rounds are interleaved. A whole
step of ViT-S on so many images takes minutes on a processor, so it is timed on few of them: all but
SIGReg grows with their number.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lotus.batch import Batch
from lotus.losses import epps_pulley, random_directions
from lotus.networks import VisionTransformer
from lotus.tasks import LeJEPATask

VIEWS = 8
CHUNKS = (16, 64, 256, 1024)


def seconds_of(step: Callable[[], Tensor], weights: list[Tensor]) -> float:
    """Processor time of forward and backward."""
    for weight in weights:
        weight.grad = None
    begun = time.process_time()
    step().backward()  # type: ignore[no-untyped-call]
    return time.process_time() - begun


def lightly_sigreg(directions: Tensor) -> nn.Module:
    """Lightly's, with directions that are given."""
    from lightly.loss.lejepa_loss import SIGReg

    peer: nn.Module = SIGReg(num_vectors=directions.shape[1])
    peer.__dict__["_generate_unit_vectors"] = lambda *_, **__: directions
    return peer


def step_without_sigreg(images: int, embedding: int) -> tuple[LeJEPATask, Callable[[], Tensor]]:
    """Views, ViT-S, projector and invariance of so many images: what SIGReg is added to."""
    task = LeJEPATask(VisionTransformer(), embedding=embedding)
    task.__dict__["log"] = lambda *_, **__: None
    task.__dict__["log_dict"] = lambda *_, **__: None
    task.loss.register_module("sigreg", _Nothing())
    names = [str(number) for number in range(images)]
    batch: Batch = {
        "image": torch.rand(images, 3, 224, 224),
        "label": torch.zeros(images, dtype=torch.int64),
        "spacing_um": torch.ones(images, 2),
        "name": names,
        "patient": names,
        "group": names,
        "modality": names,
    }
    return task.train(), lambda: task.training_step(batch, 0)


class _Nothing(nn.Module):
    def forward(self, embeddings: Tensor, step: int) -> Tensor:
        return embeddings.new_zeros(())


def peak_megabytes(shape: tuple[int, ...], directions: int, chunk: int | None) -> float:
    """Highest resident memory that forward and backward add in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_added_memory, (shape, directions, chunk))


def _added_memory(shape: tuple[int, ...], directions: int, chunk: int | None) -> float:
    torch.set_num_threads(1)
    embeddings = torch.randn(shape, requires_grad=True)
    units = random_directions(shape[-1], directions, seed=0, device="cpu")
    peer = lightly_sigreg(units) if chunk is None else None
    small = embeddings[:, :2]
    for values in (small, embeddings):  # Libraries set themselves up in the first.
        Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
        before = _kilobytes("VmRSS")
        loss = peer(values) if peer else epps_pulley(values, units, chunk=chunk or 1)
        loss.backward()
    return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(entry: str) -> int:
    """What Linux says of the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))


def main() -> None:
    """Print values, times, shares and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--directions", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step-images", type=int, default=4, help="on which ViT-S is timed")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    shape = (VIEWS, arguments.images, arguments.dim)
    embeddings = torch.randn(shape, requires_grad=True)
    directions = random_directions(arguments.dim, arguments.directions, seed=0, device="cpu")
    peer = lightly_sigreg(directions)
    task, step = step_without_sigreg(arguments.step_images, arguments.dim)
    steps: dict[str, tuple[Callable[[], Tensor], list[Tensor]]] = {
        "SIGReg": (lambda: epps_pulley(embeddings, directions), [embeddings]),
        "lightly": (lambda: peer(embeddings), [embeddings]),
        "rest of the step": (step, list(task.parameters())),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    gradients: dict[str, Tensor] = {}
    for turn in range(arguments.rounds + 1):
        for name, (function, weights) in steps.items():
            spent = seconds_of(function, weights)
            if turn:  # The first is not counted.
                seconds[name].append(spent)
            if embeddings.grad is not None:
                gradients[name] = embeddings.grad
    own, other = (float(steps[name][0]().detach()) for name in ("SIGReg", "lightly"))
    scale = float(gradients["lightly"].abs().max())
    difference = float((gradients["SIGReg"] - gradients["lightly"]).abs().max()) / scale
    rest = statistics.median(seconds["rest of the step"])
    rest *= arguments.images / arguments.step_images
    print(
        f"N = {arguments.images} x {VIEWS} views, D = {arguments.dim}, K = {arguments.directions}, "
        f"{torch.get_num_threads()} thread(s), float32\n"
        f"values {own:.6f} and {other:.6f}; largest difference of gradients {difference:.1e} of "
        "the largest gradient"
    )
    print("| | processor time | share of the step | ratio to lightly |\n|---|---|---|---|")
    for name in ("SIGReg", "lightly"):
        median = statistics.median(seconds[name])
        pairs = zip(seconds[name], seconds["lightly"], strict=True)
        ratio = statistics.median(one / two for one, two in pairs)
        share = median / (median + rest)
        print(f"| {name} | {1000 * median:.0f} ms | {share:.2%} | {ratio:.2f} |")
    print(f"| rest of the ViT-S step, from {arguments.step_images} images | {rest:.0f} s | | |")
    print("\n| directions at a time | memory that is added |\n|---|---|")
    for chunk in (*CHUNKS, None):
        megabytes = peak_megabytes(shape, arguments.directions, chunk)
        print(f"| {chunk or 'lightly, all'} | {megabytes:.0f} MB |")


if __name__ == "__main__":
    main()
