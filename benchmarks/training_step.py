"""One training step: distillation against the student alone, part by part, and the loader.

``python -m benchmarks.training_step [--patch-size 128 --batch-size 8 --rounds 15]``

The rounds of all variants are interleaved, so that a machine that slows down slows all of them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from monai.transforms import RandFlipd, RandRotate90d, RandScaleIntensityd, RandShiftIntensityd

from data_modules.segmentation import SegmentationDataModule
from data_modules.unpaired import UnpairedDataModule
from lotus.batch import Batch
from lotus.cli import main as lotus
from lotus.losses import ClassAlignment, PixelAlignment
from lotus.networks import UNet, features_and_logits
from lotus.tasks import DistillationTask, SegmentationTask
from lotus.tasks.description import describe
from lotus.tasks.precision import computes_bfloat16
from lotus.transforms import DtypeRange
from lotus.transforms.enhancement import SRMicroCTEnhancement

Step = Callable[[], object]
PRECISION = "bfloat16 autocast" if computes_bfloat16(torch.device("cpu")) else "float32"


def batch(size: int, count: int) -> Batch:
    """A random batch in the form of the data modules."""
    instances = (torch.rand(count, size, size) > 0.7).int()
    names = [str(number) for number in range(count)]
    return {
        "image": torch.rand(count, 3, size, size),
        "mask": instances.long(),
        "instances": instances,
        "label": torch.zeros(count, dtype=torch.int64),
        "spacing_um": torch.ones(count, 2),
        "name": names,
        "patient": names,
        "group": names,
        "modality": names,
    }


def teacher_checkpoint(folder: Path) -> Path:
    """A checkpoint with random weights."""
    task = SegmentationTask(UNet(), ["lacuna"])
    record = {"network": describe(task.network), "class_names": ["lacuna"], "in_channels": 3}
    path = folder / "teacher.ckpt"
    torch.save({"state_dict": task.state_dict(), "segmenter": record}, path)
    return path


def autocast() -> torch.autocast:
    """What `NativePrecision` does to a step on this processor."""
    return torch.autocast("cpu", torch.bfloat16, enabled=PRECISION != "float32")


def silent(task: SegmentationTask) -> None:
    """Let a task run without a trainer, with its weights in the order that training uses."""
    task.to(memory_format=torch.channels_last)
    task.__dict__["log"] = lambda *_, **__: None
    task.__dict__["log_dict"] = lambda *_, **__: None
    task.train()


def optimised(task: SegmentationTask, loss_of: Callable[[], torch.Tensor]) -> Step:
    """A whole step: forward, backward, Adam."""
    trained = [weight for weight in task.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4)

    def step() -> None:
        with autocast():
            loss = loss_of()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def distillation_step(
    teacher: Path, size: int, count: int, phase: int, **arguments: Any
) -> tuple[DistillationTask, Step]:
    """A distillation task in a phase, and its step."""
    task = DistillationTask(network=UNet(), teacher=teacher, class_names=["lacuna"], **arguments)
    silent(task)
    task.feature_sd.fill_(1.0)
    task.plateau.reached = phase == 2
    task.on_train_epoch_start()
    both = {"student": batch(size, count), "teacher": batch(size, count)}

    def loss() -> torch.Tensor:
        task._gammas.clear()
        return task.training_step(both, 0)

    return task, optimised(task, loss)


def variants(teacher: Path, size: int, count: int) -> dict[str, Step]:
    """Every step and part that is timed, by name."""
    student = SegmentationTask(UNet(), ["lacuna"])
    silent(student)
    own = batch(size, count)
    steps: dict[str, Step] = {
        "student alone": optimised(
            student, lambda: student.segmentation_loss(student.network(own["image"]), own)
        )
    }
    for alignment in (ClassAlignment(), PixelAlignment()):
        for stride in (2, 1):
            for phase in (1, 2):
                name = f"{type(alignment).__name__}, stride {stride}, phase {phase}"
                arguments = {"alignment": alignment, "feature_stride": stride}
                task, step = distillation_step(teacher, size, count, phase, **arguments)
                steps[name] = step
    steps |= parts(task, size, count)
    return steps


def parts(task: DistillationTask, size: int, count: int) -> dict[str, Step]:
    """What a step adds to the student's, at feature stride 2."""
    image = torch.rand(count, 3, size, size)
    features = torch.randn(count, 16, size // 2, size // 2, requires_grad=True)
    diffusion, projector = task.diffusion, task.projector
    if diffusion is None or projector is None:
        raise ValueError("the parts are those of a task with diffusion")

    def teacher_forward() -> None:
        with torch.no_grad(), autocast():
            features_and_logits(task.teacher, image)

    def denoise() -> None:
        with autocast():
            value = diffusion.denoise(projector(features))[0].square().mean()
        value.backward()  # type: ignore[no-untyped-call]

    def noise_prediction() -> None:
        diffusion.denoiser.requires_grad_(True)
        with autocast():
            noise, prediction = diffusion.noise_and_prediction(features)
        (prediction - noise).square().mean().backward()  # type: ignore[no-untyped-call]

    return {
        "part: teacher's forward": teacher_forward,
        "part: projector and five DDIM steps, forward and backward": denoise,
        "part: noise prediction, forward and backward": noise_prediction,
    }


def interleaved(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if turn:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def loader_seconds(folder: Path, size: int, count: int) -> float:
    """Median seconds per unpaired batch of the quick preset's pipeline, from phantoms."""
    if lotus(
        [
            *("phantom", "sr_microct", "histology", "--output", str(folder)),
            *("--patients", "12", "--slices", "1", "--size", "256"),
        ]
    ):
        raise RuntimeError("the phantoms could not be written")
    keys = ["image", "mask", "instances"]
    augmentation = [
        RandFlipd(keys, prob=0.5, spatial_axis=0),
        RandFlipd(keys, prob=0.5, spatial_axis=1),
        RandRotate90d(keys, prob=0.75),
        RandScaleIntensityd(["image"], factors=0.2, prob=0.5),
        RandShiftIntensityd(["image"], offsets=0.1, prob=0.5),
    ]
    student, teacher = (
        SegmentationDataModule(
            folder / "manifest.csv",
            modality,
            class_names=["lacuna"],
            preprocessing=preprocessing,
            augmentation=augmentation,
            patch_size=size,
            batch_size=count,
            samples_per_epoch=30 * count,
        )
        for modality, preprocessing in (
            ("sr_microct", SRMicroCTEnhancement()),
            ("histology", DtypeRange()),
        )
    )
    data = UnpairedDataModule(student, teacher)
    data.setup("fit")
    times = []
    begun = time.perf_counter()
    for _ in data.train_dataloader():
        times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
    return statistics.median(times)


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patch-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    size, count = arguments.patch_size, arguments.batch_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = variants(teacher_checkpoint(folder), size, count)
        seconds = interleaved(steps, arguments.rounds)
        loader = loader_seconds(folder, size, count)
    alone = seconds["student alone"]
    print(f"batch {count} x {size} px, {torch.get_num_threads()} thread(s), {PRECISION}")
    print("| step | median, ms | ratio to the student alone (median of pairs) |\n|---|---|---|")
    for name, times in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(times, alone, strict=True))
        print(f"| {name} | {1000 * statistics.median(times):.0f} | {ratio:.2f} |")
    step = statistics.median(seconds["ClassAlignment, stride 2, phase 1"])
    print(f"| loader, per unpaired batch | {1000 * loader:.1f} | {loader / step:.1%} of a step |")


if __name__ == "__main__":
    main()
