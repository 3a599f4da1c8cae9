"""What a segmentation network finds in slices, as a guide for a classifier."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lotus.imaging.pixel_size import in_um
from lotus.schemes import InstanceScheme
from lotus.tasks.checkpoint import (
    read_checkpoint,
    refuse_without_preprocessing,
    segmenter_of,
    state_of,
)
from lotus.tasks.description import build
from lotus.transforms import Preprocessing
from lotus.transforms.resampling import Spacing, resampling
from lotus.windows import blend_windows, network_input, read_bands, window_grid, windows_at_once


class MaskGuide:
    """The foreground that the frozen network of a checkpoint finds in slices.

    A slice goes through the network as in `lotus segment`, in the same overlapping windows.

    Args:
        checkpoint: Of a segmentation task.
        device: Where the network computes.
        threshold: Least probability of the foreground, in (0, 1).
        resample: Whether slices of another pixel size than the network's are resampled to it; they
            are refused otherwise.

    Attributes:
        key: Names checkpoint and settings: masks of two guides with one key are the same.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: None of a segmentation task, or a threshold out of range.
    """

    def __init__(
        self,
        checkpoint: Path,
        device: torch.device,
        *,
        threshold: float = 0.5,
        resample: bool = False,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"the guide's threshold is {threshold:g}; expected one in (0, 1)")
        contents = read_checkpoint(checkpoint)
        record = segmenter_of(contents, checkpoint)
        if record["instances"] is None:
            raise ValueError(
                f"{checkpoint} is a detector's, whose objects cannot be blended over windows: "
                "guide by a checkpoint of a SegmentationTask"
            )
        refuse_without_preprocessing(record, checkpoint)
        self.checkpoint = checkpoint
        self.device = device
        self.threshold = threshold
        self.resample = resample
        self._record = record
        self._preprocessing: Preprocessing = build(record["preprocessing"])
        self._instances: InstanceScheme = build(record["instances"])
        self._network: nn.Module = build(record["network"])
        self._network.load_state_dict(state_of(contents, "network."))
        self._network.to(device).eval().requires_grad_(False)
        self._grids_um: Spacing | None = None

    @property
    def key(self) -> str:
        """SHA-256 of the checkpoint's file and of the settings."""
        with Path(self.checkpoint).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(json.dumps([self.threshold, self.resample]).encode())
        return digest.hexdigest()

    def use_on(self, spacing_um: Spacing | None) -> None:
        """Make sure that slices have the pixel size that the network was trained at.

        Args:
            spacing_um: Pixel size (Y, X) in µm of the slices; None where it is unknown, and nothing
                is resampled.

        Raises:
            ValueError: They have another, and are not to be resampled.
        """
        trained = self._trained_um
        if spacing_um is None or trained is None:
            return
        if resampling((1024, 1024), spacing_um, trained) is None:
            return
        if not self.resample:
            raise ValueError(
                f"{self.checkpoint} was trained at {in_um(trained)} per pixel, the slices have "
                f"{in_um(spacing_um)}; give resample_guide: true, or a checkpoint trained on them"
            )
        self._grids_um = spacing_um

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """The foreground of a slice, 0 or 1.

        Args:
            image: (C, Y, X) with the values of its file; what its network was trained on decides
                how it is preprocessed.

        Returns:
            float32 (Y, X).

        Raises:
            ValueError: The slice has another number of channels than the network and 1, or cannot
                be preprocessed.
        """
        channels = self._record["in_channels"]
        if image.shape[0] not in (1, channels):
            raise ValueError(
                f"{self.checkpoint} takes images of {channels} channel(s), a slice has "
                f"{image.shape[0]}: give the data modules the same in_channels"
            )
        trained, size = self._trained_um, (image.shape[1], image.shape[2])
        grids = None
        if self._grids_um is not None and trained is not None:
            grids = resampling(size, self._grids_um, trained)
        prepared = self._preprocessing(image)
        seen = prepared if grids is None else grids.image(prepared)
        grid = window_grid(
            (seen.shape[1], seen.shape[2]), self._record["window"], self._record["overlap"]
        )
        bands = read_bands(lambda start, stop: seen[:, start:stop], grid)
        with torch.inference_mode():
            blended = list(
                blend_windows(self._probabilities, bands, grid, windows_at_once(self.device))
            )
        foreground = self._instances.foreground(np.concatenate(blended, axis=1))
        mask = (foreground >= self.threshold).astype(np.float32)
        return mask if grids is None else grids.back(mask)

    @property
    def _trained_um(self) -> Spacing | None:
        """(Y, X) pixel size in µm of the training images, where it was known."""
        spacing = self._record["spacing_um"]
        return None if spacing is None else (float(spacing[-2]), float(spacing[-1]))

    def _probabilities(self, windows: NDArray[np.float32]) -> Tensor:
        output = self._network(network_input(windows, self._record["in_channels"], self.device))
        return self._instances.activate(output[0] if isinstance(output, list | tuple) else output)
