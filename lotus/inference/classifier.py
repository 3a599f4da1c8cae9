"""Trained classifiers with all they need to classify and explain, from checkpoints alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from lotus.inference.segmenter import device_named
from lotus.networks import Classifier
from lotus.runs import RunFolder
from lotus.tasks.checkpoint import classifier_of, read_checkpoint, state_of
from lotus.tasks.description import build
from lotus.tasks.guide import MaskGuide
from lotus.transforms import Preprocessing


@dataclass
class TrainedClassifier:
    """A network in evaluation mode, and how its input and output are read.

    Attributes:
        network: Images (B, C, Y, X) float32 in [0, 1] -> logits (B, K).
        preprocessing: From the values of a whole slice's file to [0, 1].
        class_names: The groups, in the order of the logits.
        in_channels: Channels C.
        resize: Side in pixels that patches are resized to.
        spacing_um: (Y, X) pixel size of the training slices, where it was known.
        weights_source: Where the weights were taken from before the training, in words.
        device: Where the network is.
        guide: Draws on slices what the features are multiplied by, where the network needs that.
    """

    network: nn.Module
    preprocessing: Preprocessing
    class_names: list[str]
    in_channels: int
    resize: int
    spacing_um: tuple[float, float] | None
    weights_source: str
    device: torch.device
    guide: MaskGuide | None = None

    @property
    def parts(self) -> Classifier:
        """The network in its parts, encoder and head."""
        return cast("Classifier", self.network)


def load_classifier(checkpoint: Path, device: str = "auto") -> TrainedClassifier:
    """Build the classifier that a checkpoint of a classification task describes.

    Args:
        checkpoint: A ``.ckpt`` file of a lotus run, or a run folder, whose best checkpoint is
            taken.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        FileNotFoundError: No such checkpoint, or that of its guide is gone.
        ValueError: Not a checkpoint of a classification task, or a device that is not there.
    """
    path = RunFolder(checkpoint).best if checkpoint.is_dir() else checkpoint
    contents = read_checkpoint(path)
    record = classifier_of(contents, path)
    if record["preprocessing"] is None:
        raise ValueError(
            f"{path} does not say how its slices were preprocessed: it was saved without a data "
            "module; train it with `lotus fit`"
        )
    network: nn.Module = build(record["network"])
    network.load_state_dict(state_of(contents, "network."))
    place = device_named(device)
    spacing = record["spacing_um"]
    return TrainedClassifier(
        network=network.to(place).eval(),
        preprocessing=build(record["preprocessing"]),
        class_names=record["class_names"],
        in_channels=record["in_channels"],
        resize=record["resize"],
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        weights_source=record["weights_source"],
        device=place,
        guide=_guide(record.get("guide"), place),
    )


def _guide(described: dict[str, Any] | None, device: torch.device) -> MaskGuide | None:
    if described is None:
        return None
    settings = {**described, "checkpoint": Path(described["checkpoint"])}
    return MaskGuide(device=device, **settings)
