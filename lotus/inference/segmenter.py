"""Trained networks with all they need to segment, from checkpoints alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from lotus.inference.precision import Precision
from lotus.runs import RunFolder
from lotus.schemes import InstanceScheme
from lotus.tasks.checkpoint import (
    read_checkpoint,
    refuse_without_preprocessing,
    segmenter_of,
    state_of,
)
from lotus.tasks.description import build
from lotus.tasks.precision import computes_bfloat16
from lotus.transforms import Preprocessing
from lotus.windows import OVERLAP, WINDOW


class TakesImages(Protocol):
    """What a network is shown: what reading an image for it needs to know.

    Attributes:
        preprocessing: From the file's values to [0, 1].
        in_channels: Channels C.
        spacing_um: (Y, X) pixel size of the training images, where it was known.
        resample: Whether images of another pixel size were resampled to that in training.
    """

    preprocessing: Preprocessing
    in_channels: int
    spacing_um: tuple[float, float] | None
    resample: bool


@dataclass
class Segmenter:
    """Networks in evaluation mode, and how their input and output are read.

    Attributes:
        networks: (B, C, Y, X) float32 in [0, 1] -> raw output (B, K, Y, X). Several are an
            ensemble: the mean of their activated outputs is what counts.
        preprocessing: From the file's values to [0, 1].
        instances: From activated outputs to objects.
        class_names: Foreground classes.
        in_channels: Channels C.
        spacing_um: (Y, X) pixel size of the training images, where it was known.
        resample: Whether images of another pixel size were resampled to that in training.
        device: Where the networks are.
        window: Side of the windows in pixels with which the networks were validated and tested.
        overlap: Share of a window that its neighbour covers as well, likewise.
        precision: What they computed in, as far as the device computes it.
    """

    networks: list[nn.Module]
    preprocessing: Preprocessing
    instances: InstanceScheme
    class_names: list[str]
    in_channels: int
    spacing_um: tuple[float, float] | None
    device: torch.device
    window: int = WINDOW
    overlap: float = OVERLAP
    precision: Precision = "32"
    resample: bool = False


def load_segmenter(checkpoint: Path, device: str = "auto") -> Segmenter:
    """Build the segmenter that a checkpoint of any task describes, or the ensemble of several.

    Of a distillation only the student is built: teacher, projector and denoiser are not needed.

    Args:
        checkpoint: A ``.ckpt`` file of a lotus run, or a run folder, whose best checkpoint is
            taken; of a cross-validation those of all folds.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        FileNotFoundError: No such checkpoint, or a fold without one.
        ValueError: Not a checkpoint of this project, or a detector's, checkpoints that do not go
            together, or a device that is not there.
    """
    paths = checkpoint_files(checkpoint)
    contents = [read_checkpoint(path) for path in paths]
    records = [segmenter_of(content, path) for content, path in zip(contents, paths, strict=True)]
    _check_records(records, paths)
    record = records[0]
    networks = []
    for content in contents:
        network = build(record["network"])
        network.load_state_dict(state_of(content, "network."))
        networks.append(network)
    place = device_named(device)
    networks = [network.to(place).eval() for network in networks]
    spacing = record["spacing_um"]
    if spacing is not None and len(spacing) != 2:
        raise ValueError(
            f"{paths[0]} was trained with the voxel size {tuple(spacing)} µm; a network for 2-D "
            "images, with (Y, X), is expected"
        )
    return Segmenter(
        networks=networks,
        preprocessing=build(record["preprocessing"]),
        instances=build(record["instances"]),
        class_names=record["class_names"],
        in_channels=record["in_channels"],
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        device=place,
        window=record["window"],
        overlap=record["overlap"],
        precision=precision_on(place, record["precision"]),
        resample=record["resample"],
    )


def device_named(name: str) -> torch.device:
    """A device that can be used.

    Args:
        name: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        ValueError: It is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (AssertionError, RuntimeError) as error:  # PyTorch without CUDA asserts
        detail = " ".join(str(error).split())
        raise ValueError(f"device {name!r} cannot be used: {detail}") from error
    return device


def precision_on(device: torch.device, tested: Precision) -> Precision:
    """What a network computes in: what it was tested in, as far as the device computes it.

    Args:
        device: Where the network is.
        tested: What it was tested in.
    """
    return "bf16" if tested == "bf16" and computes_bfloat16(device) else "32"


def checkpoint_files(given: Path) -> list[Path]:
    """The checkpoint files that a file, a run or a cross-validation stands for.

    Args:
        given: A ``.ckpt`` file, a run folder, whose best checkpoint is taken, or that of a
            cross-validation, of which all folds' are.

    Raises:
        FileNotFoundError: A folder without, or a fold.
    """
    if not given.is_dir():
        return [given]
    run = RunFolder(given)
    if run.best.is_file():
        return [run.best]
    paths = [fold.best for fold in run.planned_folds()]
    if not paths:
        raise FileNotFoundError(
            f"{given} is neither a run nor a cross-validation: no {run.best.relative_to(given)} "
            "in it"
        )
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no checkpoint at {path}: run the cross-validation to its end")
    return paths


def _check_records(records: list[dict[str, Any]], paths: list[Path]) -> None:
    for record, path in zip(records, paths, strict=True):
        if record["instances"] is None:
            raise ValueError(
                f"{path} is a detector's, whose objects cannot be blended over windows: use `lotus "
                f"predict --config {RunFolder(Path('RUN')).config}`, which takes images whole"
            )
        refuse_without_preprocessing(record, path)
    # Without resampling each was trained with the pixel size of its own images.
    refuse_unlike(records, paths, but=() if records[0]["resample"] else ("spacing_um",))


def refuse_unlike(
    records: Sequence[dict[str, Any]], paths: Sequence[Path], but: Sequence[str]
) -> None:
    """Refuse checkpoints that make no ensemble.

    Args:
        records: What each says of its network.
        paths: Their files.
        but: What may differ.

    Raises:
        ValueError: Something else differs.
    """
    for record, path in zip(records, paths, strict=True):
        for name in record.keys() - {*but}:
            if record[name] != records[0][name]:
                raise ValueError(
                    f"{paths[0]} and {path} make no ensemble: their {name} is {records[0][name]} "
                    f"and {record[name]}"
                )
