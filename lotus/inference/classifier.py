"""A trained classifier of patches, from its checkpoint alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lotus.runs import RunFolder
from lotus.tasks.checkpoint import classifier_of, read_checkpoint, state_of
from lotus.tasks.description import build
from lotus.tasks.guide import MaskGuide


@dataclass
class TrainedClassifier:
    """A network in evaluation mode, and what it tells apart.

    Attributes:
        network: (B, C, Y, X) float32 in [0, 1] -> logits (B, K).
        class_names: The K groups, in the order of the logits.
        in_channels: Channels C.
        guide: Draws what the features are multiplied by, where the network needs that.
        device: Where the network is.
    """

    network: nn.Module
    class_names: list[str]
    in_channels: int
    guide: MaskGuide | None
    device: torch.device


def load_classifier(checkpoint: Path, device: str = "auto") -> TrainedClassifier:
    """Build the classifier that a checkpoint describes.

    Args:
        checkpoint: A ``.ckpt`` file of a classification, or the folder of its run, whose best
            checkpoint is taken.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        FileNotFoundError: No such checkpoint, or that of its guide is gone.
        ValueError: It is none of a classification, or a device that is not there.
    """
    path = RunFolder(checkpoint).best if checkpoint.is_dir() else checkpoint
    contents = read_checkpoint(path)
    record = classifier_of(contents, path)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network: nn.Module = build(record["network"])
    network.load_state_dict(state_of(contents, "network."))
    try:
        network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    except RuntimeError as error:
        raise ValueError(f"device {device!r} cannot be used: {error}") from error
    return TrainedClassifier(
        network=network,
        class_names=list(record["class_names"]),
        in_channels=record["in_channels"],
        guide=_guide(record.get("guide"), torch.device(device)),
        device=torch.device(device),
    )


def _guide(described: dict[str, Any] | None, device: torch.device) -> MaskGuide | None:
    if described is None:
        return None
    settings = {**described, "checkpoint": Path(described["checkpoint"])}
    return MaskGuide(device=device, **settings)
