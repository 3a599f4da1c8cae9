"""What a data set hands out, before several of it make a batch."""

from typing import NotRequired, TypedDict

from torch import Tensor

Pixels = dict[str, Tensor]
"""``image``, ``mask`` and ``instances`` of a crop, each ``(C, Y, X)``; ``mask`` is -1 where the
annotation says nothing, so that whatever moves the mask moves that too.
"""


class Sample(TypedDict):
    """An image or a crop of one; several make a :class:`lotus.batch.Batch`.

    Attributes:
        image: float32 (C, Y, X) in [0, 1].
        mask: int64 (Y, X), class per pixel, 0 is background; absent without annotation.
        instances: int32 (Y, X), object number per pixel, 0 is background; absent without
            annotation.
        ignored: bool (Y, X), where the annotation says nothing, and ``mask`` and ``instances`` are
            0; absent from data sets in which no value is ignored.
        label: int64 (), index of the group.
        spacing_um: float64 (2,), pixel size (Y, X) in µm; NaN where unknown.
        network_size: int64 (2,), (Y, X) in pixels that a network sees a whole image in; absent
            where that is its own.
        name: Name of the image.
        patient: Its patient.
        group: Its group.
        modality: Its modality.
    """

    image: Tensor
    mask: NotRequired[Tensor]
    instances: NotRequired[Tensor]
    ignored: NotRequired[Tensor]
    label: Tensor
    spacing_um: Tensor
    network_size: NotRequired[Tensor]
    name: str
    patient: str
    group: str
    modality: str


class SlabSample(TypedDict):
    """A slab of a volume or a crop of one; several make a :class:`lotus.batch.Batch`.

    Attributes:
        image: float32 (T, C, Y, X) in [0, 1].
        mask: int64 (Y, X), class per pixel of the middle slice, or (D, Y, X) of the D middle ones;
            absent without annotation.
        ignored: bool as ``mask``, where the annotation says nothing, and ``mask`` is 0; absent from
            data sets in which there is no such place.
        label: int64 (), index of the group.
        spacing_um: float64 (3,), voxel size (Z, Y, X) in µm; NaN where unknown.
        z: int64 (), number of the first slice of ``mask`` in its volume.
        depth: int64 (), slices of the volume.
        name: Name of the volume and number of that slice, ``volume_z0012``.
        patient: Its patient.
        group: Its group.
        modality: Its modality.
    """

    image: Tensor
    mask: NotRequired[Tensor]
    ignored: NotRequired[Tensor]
    label: Tensor
    spacing_um: Tensor
    z: Tensor
    depth: Tensor
    name: str
    patient: str
    group: str
    modality: str


class PatchSample(TypedDict):
    """A patch of a slice; several make a :class:`lotus.batch.PatchBatch`.

    Attributes:
        image: float32 (C, Y, X) in [0, 1], resized.
        guide: float32 (1, Y', X') in [0, 1], in the pixels of the slice; absent without a guide.
        mask: int64 (Y, X), class per resized pixel, 0 is background; absent unless asked for.
        ignored: bool (Y, X), where nothing is known of the class; absent unless asked for.
        label: int64 (), index of the group.
        spacing_um: float64 (2,), size (Y, X) in µm of the resized pixels; NaN where unknown.
        name: ``slice@y,x``.
        slice: Name of its slice.
        patient: Its patient.
        group: Its group.
    """

    image: Tensor
    guide: NotRequired[Tensor]
    mask: NotRequired[Tensor]
    ignored: NotRequired[Tensor]
    label: Tensor
    spacing_um: Tensor
    name: str
    slice: str
    patient: str
    group: str


SampleParts = dict[str, Sample]
"""A sample of every part, by the name of the part; several make :data:`lotus.batch.Parts`."""
