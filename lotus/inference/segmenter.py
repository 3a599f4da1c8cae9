"""A trained network with all it needs to segment, from a checkpoint alone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lotus.tasks.checkpoint import read_checkpoint, segmenter_of, state_of
from lotus.tasks.description import build
from lotus.transforms import InstanceScheme, Preprocessing


@dataclass
class Segmenter:
    """A network in evaluation mode, and how its input and output are read.

    Attributes:
        network: (B, C, Y, X) float32 in [0, 1] -> logits (B, K, Y, X).
        preprocessing: from the file's values to [0, 1].
        instances: from probabilities to objects.
        class_names: foreground classes.
        in_channels: channels C.
        spacing_um: (Y, X) pixel size of the training images, where it was known.
        device: where the network is.
    """

    network: nn.Module
    preprocessing: Preprocessing
    instances: InstanceScheme
    class_names: list[str]
    in_channels: int
    spacing_um: tuple[float, float] | None
    device: torch.device


def load_segmenter(checkpoint: Path, device: str = "auto") -> Segmenter:
    """Build the segmenter that a checkpoint of any task describes.

    Of a distillation only the student is built: teacher, projector and denoiser are not needed.

    Args:
        checkpoint: a ``.ckpt`` file of a lotus run.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: not a checkpoint of this project, or a detector's, or a device that is not
            there.
    """
    contents = read_checkpoint(checkpoint)
    record = segmenter_of(contents, checkpoint)
    if record["instances"] is None:
        raise ValueError(
            f"{checkpoint} is a detector's, whose objects cannot be blended over windows: use "
            "`lotus predict --config RUN/config.yaml`, which takes images whole"
        )
    if record["preprocessing"] is None:
        raise ValueError(
            f"{checkpoint} does not say how its images were preprocessed: it was saved without a "
            "data module; train it with `lotus fit`"
        )
    network = build(record["network"])
    network.load_state_dict(state_of(contents, "network."))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        network = network.to(device).eval()
    except RuntimeError as error:
        raise ValueError(f"device {device!r} cannot be used: {error}") from error
    spacing = record["spacing_um"]
    return Segmenter(
        network=network,
        preprocessing=build(record["preprocessing"]),
        instances=build(record["instances"]),
        class_names=record["class_names"],
        in_channels=record["in_channels"],
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        device=torch.device(device),
    )
