"""What a data module hands to a task, and what a task hands to callbacks."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Batch(TypedDict):
    """Images with what is known of them; usually of one modality.

    Attributes:
        image: float32 (B, C, Y, X) in [0, 1]; slabs of a volume are (B, T, C, Y, X).
        mask: int64 (B, Y, X), class per pixel, 0 is background; absent without annotation. Of slabs
            that of the middle slice, or (B, D, Y, X) of the D middle ones.
        instances: int32 (B, Y, X), object number per pixel, 0 is background; absent without
            annotation.
        ignored: bool as ``mask``, pixels that count neither in losses nor in scores, and where
            ``mask`` and ``instances`` are 0; absent from data sets that ignore nothing.
        label: int64 (B,), index of the group.
        spacing_um: float64 (B, 2), pixel size (Y, X) in µm, or (B, 3), voxel size (Z, Y, X); NaN
            where unknown.
        network_size: int64 (B, 2), (Y, X) in pixels that a network sees whole images in; absent
            where that is their own.
        z: int64 (B,), number of the first slice in the volume that ``mask`` is, or would be, of;
            slabs alone have it.
        depth: int64 (B,), slices of the volume; slabs alone have it.
        name: Name of each image.
        patient: Patient of each image.
        group: Group of each image.
        modality: Modality of each image.
    """

    image: Tensor
    mask: NotRequired[Tensor]
    instances: NotRequired[Tensor]
    ignored: NotRequired[Tensor]
    label: Tensor
    spacing_um: Tensor
    network_size: NotRequired[Tensor]
    z: NotRequired[Tensor]
    depth: NotRequired[Tensor]
    name: list[str]
    patient: list[str]
    group: list[str]
    modality: list[str]


class PatchBatch(TypedDict):
    """Patches of slices that are given a class, with what is known of them.

    Attributes:
        image: float32 (B, C, Y, X) in [0, 1], resized to what a classifier takes.
        guide: float32 (B, 1, Y', X') in [0, 1], where the task attached a guide: what is to be
            looked at, in the pixels of the slice.
        mask: int64 (B, Y, X), class per resized pixel, 0 is background; absent unless the data
            were asked for it.
        ignored: bool (B, Y, X), where nothing is known of the class, as in slices that nobody
            annotated; present where ``mask`` is.
        label: int64 (B,), index of the group.
        spacing_um: float64 (B, 2), size (Y, X) in µm of the resized pixels; NaN where unknown.
        name: Name of each patch, ``slice@y,x``.
        slice: Name of the slice of each patch.
        patient: Patient of each patch.
        group: Group of each patch.
    """

    image: Tensor
    guide: NotRequired[Tensor]
    mask: NotRequired[Tensor]
    ignored: NotRequired[Tensor]
    label: Tensor
    spacing_um: Tensor
    name: list[str]
    slice: list[str]
    patient: list[str]
    group: list[str]


Parts = Mapping[str, Batch]
"""Batches of several modalities at once, by the name of the part, such as ``student``."""


class Prediction(TypedDict):
    """The objects of one image at native size.

    Attributes:
        labels: int32 (Y, X) label map, 0 is background.
        probability: float32 (Y, X), probability of the foreground.
        classes: uint8 (Y, X), class of each pixel of an object, 0 is background.
    """

    labels: NDArray[np.integer[Any]]
    probability: NDArray[np.float32]
    classes: NDArray[np.uint8]


class RoiPrediction(TypedDict):
    """The classes of one ROI, by the head of the domain that it was given.

    Attributes:
        classes: uint8 (Y, X) at native size, class of each pixel among those of the domain, 0 is
            background.
        domain: Its name.
        certainty: Of the domain, from 0 to 1.
        uncertain_tiles: Tiles that the router was not sure of.
        tiles: All tiles.
        uncertain: Whether the domain of the ROI as a whole is uncertain.
        distances: float32 (T, M), how far each tile is from what is usual in each domain.
    """

    classes: NDArray[np.uint8]
    domain: str
    certainty: float
    uncertain_tiles: int
    tiles: int
    uncertain: bool
    distances: NDArray[np.float32]


class SlabPrediction(TypedDict):
    """The classes of whole slices of a volume.

    Attributes:
        classes: uint8 (n, Y, X), class of each voxel, 0 is background.
    """

    classes: NDArray[np.uint8]


class Classification(TypedDict):
    """What a network makes of a batch of patches.

    Attributes:
        probabilities: float32 (B, K) of the groups, in the order of the batch's ``label``.
    """

    probabilities: Tensor
