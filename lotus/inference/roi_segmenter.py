"""A trained network of several domains with all it needs to segment ROIs, from its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lotus.inference.precision import Precision
from lotus.inference.segmenter import checkpoint_files, device_named, precision_on
from lotus.networks.routed_segmenter import RoutedSegmenter
from lotus.tasks.checkpoint import (
    read_checkpoint,
    refuse_without_preprocessing,
    roi_segmenter_of,
    state_of,
)
from lotus.tasks.description import build
from lotus.tasks.routed_roi import Tiling
from lotus.transforms import Preprocessing


@dataclass
class RoiSegmenter:
    """A network in evaluation mode, and how its input and output are read.

    Attributes:
        network: Encoder, router and heads.
        class_names: Foreground classes of each domain.
        preprocessing: From the file's values to [0, 1].
        spacing_um: (Y, X) pixel size of the training images, where it was known.
        resample: Whether images of another pixel size were resampled to that in training.
        device: Where the network is.
        tile: Side of the tiles in pixels with which it was validated and tested.
        tiling: How they lay.
        precision: What it computed in, as far as the device computes it.
        in_channels: Channels C; grey images are repeated.
    """

    network: RoutedSegmenter
    class_names: dict[str, list[str]]
    preprocessing: Preprocessing
    spacing_um: tuple[float, float] | None
    resample: bool
    device: torch.device
    tile: int
    tiling: Tiling
    precision: Precision
    in_channels: int = 3


def segments_rois(checkpoint: Path) -> bool:
    """Whether a checkpoint, or the first of a cross-validation, is of several domains.

    Args:
        checkpoint: A ``.ckpt`` file, a run folder or that of a cross-validation.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: Not a checkpoint.
    """
    return "roi_segmenter" in read_checkpoint(checkpoint_files(checkpoint)[0])


def load_roi_segmenter(checkpoint: Path, device: str = "auto") -> RoiSegmenter:
    """Build what the checkpoint of a task of several domains describes.

    Args:
        checkpoint: A ``.ckpt`` file, or a run folder, whose best checkpoint is taken.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: Not one of several domains, several folds, or a device that is not there.
    """
    paths = checkpoint_files(checkpoint)
    if len(paths) > 1:
        raise ValueError(
            f"{checkpoint} is a cross-validation; class maps are made by one network: give the run "
            f"of one fold, such as {paths[0]}"
        )
    content = read_checkpoint(paths[0])
    record = roi_segmenter_of(content, paths[0])
    refuse_without_preprocessing(record, paths[0])
    network: RoutedSegmenter = build(record["network"])
    network.load_state_dict(state_of(content, "network."))
    place = device_named(device)
    spacing = record["spacing_um"]
    return RoiSegmenter(
        network=network.to(place).eval(),
        class_names=record["class_names"],
        preprocessing=build(record["preprocessing"]),
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        resample=record["resample"],
        device=place,
        tile=record["tile"],
        tiling=record["tiling"],
        precision=precision_on(place, record["precision"]),
    )
