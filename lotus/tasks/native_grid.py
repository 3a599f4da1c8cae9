"""Whole images on the grid that a network sees, and what is found there on their own."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.batch import Batch, Prediction
from lotus.transforms.resampling import Resampling


def as_seen(batch: Batch) -> Batch:
    """A whole image with its masks as the network sees it; see ``network_size`` of the batch."""
    grids = _grids(batch)
    if grids is None:
        return batch
    image = grids.image(batch["image"][0].cpu().float().numpy())
    seen = {**batch, "image": torch.from_numpy(image)[None].to(batch["image"].device)}
    for name in ("mask", "instances", "ignored"):
        if name in batch:
            labels = cast("dict[str, Tensor]", batch)[name]
            seen[name] = torch.from_numpy(grids.labels(labels.cpu().numpy())).to(labels.device)
    return cast("Batch", seen)


def at_native_size(found: Prediction, batch: Batch) -> Prediction:
    """What was found in an image as the network sees it, for the image's own pixels.

    Objects that fall between larger pixels are gone; the others are numbered 1 ... N.
    """
    grids = _grids(batch)
    if grids is None:
        return found
    labels = grids.back(found["labels"])
    present = np.unique(np.append(labels, 0))
    return {
        "labels": np.searchsorted(present, labels).astype(np.int32),
        "probability": grids.back(found["probability"]),
        "classes": grids.back(found["classes"]),
    }


def at_own_size(maps: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
    """Maps (K, Y, X) of an image as the network sees it, in the image's own pixels."""
    grids = _grids(batch)
    return maps if grids is None else grids.back(maps)


def _grids(batch: Batch) -> Resampling | None:
    if "network_size" not in batch:
        return None
    native, network = batch["image"].shape[-2:], batch["network_size"][0].tolist()
    return Resampling((native[0], native[1]), (network[0], network[1]))
