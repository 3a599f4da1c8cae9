"""Trained networks with all they need to label volumes, from checkpoints alone."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.inference.precision import Precision
from lotus.inference.segmenter import checkpoint_files, device_named, precision_on, refuse_unlike
from lotus.inference.volume_options import VolumeOptions
from lotus.networks import SlabNetwork, as_slab_network, store_channels_last
from lotus.tasks.checkpoint import read_checkpoint, state_of, volume_segmenter_of
from lotus.tasks.description import build
from lotus.transforms import Preprocessing
from lotus.windows import slab_input, windows_at_once


@dataclass(frozen=True)
class VolumeSegmenter:
    """Networks in evaluation mode, and how their input and output are read.

    Attributes:
        networks: Slabs (B, T, C, Y, X) float32 in [0, 1] -> logits of 1 + the number of classes,
            background first. Several are an ensemble: the mean of their probabilities counts.
        preprocessing: From the file's values to [0, 1].
        class_names: Foreground classes, in the order of the labels from 1.
        in_channels: Channels C.
        spacing_um: (Z, Y, X) voxel size of the training volumes, where it was known.
        device: Where the networks are.
        window: Side of the windows in pixels.
        overlap: Share of a window that its neighbour covers as well.
        batch_size: Windows that are predicted at once.
        precision: What the networks compute in.
    """

    networks: tuple[SlabNetwork, ...]
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    in_channels: int
    spacing_um: tuple[float, float, float] | None
    device: torch.device
    window: int
    overlap: float
    batch_size: int
    precision: Precision

    @property
    def slices(self) -> int:
        """T, the slices of a slab."""
        return self.networks[0].slices

    @property
    def output_slices(self) -> int:
        """How many slices of a slab the networks segment."""
        return self.networks[0].output_slices

    def probabilities(self, windows: NDArray[np.float32]) -> Tensor:
        """What the networks say of windows (B, T, Y, X), as ``predict_slices`` takes it.

        Args:
            windows: In [0, 1].

        Returns:
            Softmax (B, K, Y, X), or (B, K, T, Y, X) where all slices are segmented.
        """
        is_bfloat16 = self.precision == "bf16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=is_bfloat16),
        ):
            slab = slab_input(windows, self.in_channels, self.device)
            outputs = [network(slab).float().softmax(dim=1) for network in self.networks]
        return torch.stack(outputs).mean(dim=0)


def load_volume_segmenter(checkpoint: Path, options: VolumeOptions) -> VolumeSegmenter:
    """Build the segmenter that a checkpoint describes, or the ensemble of several.

    The last one is kept, since a process labels many blocks.

    Args:
        checkpoint: A ``.ckpt`` file of a lotus run, or a run folder, whose best checkpoint is
            taken; of a cross-validation those of all folds.
        options: What is to be otherwise than in the test of the network.

    Raises:
        FileNotFoundError: No such checkpoint, or a fold without one.
        ValueError: Not a checkpoint that labels volumes, checkpoints that do not go together, or a
            device that is not there.
    """
    paths = checkpoint_files(checkpoint)
    changes = (path.stat() for path in paths)
    stamps = tuple((stat.st_size, stat.st_mtime_ns) for stat in changes)
    return _load(tuple(paths), stamps, options)


@lru_cache(maxsize=1)
def _load(
    paths: tuple[Path, ...], stamps: tuple[tuple[int, int], ...], options: VolumeOptions
) -> VolumeSegmenter:
    """The segmenter of files as they are now, by size and time of their last change."""
    contents = [read_checkpoint(path) for path in paths]
    records = [
        volume_segmenter_of(content, path) for content, path in zip(contents, paths, strict=True)
    ]
    refuse_unlike(records, paths, but=())
    if records[0]["preprocessing"] is None:
        raise ValueError(
            f"{paths[0]} does not say how its volumes were preprocessed: it was saved without a "
            "data module; train it with `lotus fit`"
        )
    record, device = records[0], device_named(options.device)
    networks = tuple(_network(content, record["network"], device) for content in contents)
    spacing = record["spacing_um"]
    found = VolumeSegmenter(
        networks=networks,
        preprocessing=build(record["preprocessing"]),
        class_names=tuple(record["class_names"]),
        in_channels=record["in_channels"],
        spacing_um=None if spacing is None else (spacing[0], spacing[1], spacing[2]),
        device=device,
        window=record["window"],
        overlap=record["overlap"],
        batch_size=windows_at_once(device),
        precision=precision_on(device, record["precision"]),
    )
    return replace(found, **options.of_windows)


def _network(
    content: dict[str, Any], description: dict[str, Any], device: torch.device
) -> SlabNetwork:
    network = build(description)
    network.load_state_dict(state_of(content, "network."))
    store_channels_last(network)
    return as_slab_network(network.to(device).eval())
