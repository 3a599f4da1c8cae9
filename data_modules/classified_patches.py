"""Patches cut out of prepared slices, resized for a classifier."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Transform
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset
from tqdm import tqdm

from data_modules.dataset import augmented
from data_modules.guides import GuideStore, Predict
from data_modules.manifest import Record
from data_modules.patch_cache import PatchCache, PreparedImage
from data_modules.patches import SlicePatches
from data_modules.sample import PatchSample, Pixels
from data_modules.sampler import SampleIndex


class SlicePatchSource:
    """Prepared slices, and their patches as a classifier wants them.

    Everything that can be wrong with the files is found when this is built.

    Args:
        records: The slices.
        patches: Of each slice.
        cache: Where prepared slices are.
        guides: Where guides are kept.
        groups: All groups of the study; a sample's ``label`` is the index of its group.
        in_channels: Channels of the network; one-channel images are repeated.
        resize: Side in pixels that patches are resized to.
        annotated: Whether samples have the ``mask`` of their slice, and what is ``ignored`` of it.

    Raises:
        ValueError: If an image does not fit ``in_channels``, or a mask cannot be used.
    """

    def __init__(
        self,
        records: Sequence[Record],
        patches: Sequence[SlicePatches],
        cache: PatchCache,
        guides: GuideStore,
        *,
        groups: Sequence[str],
        in_channels: int,
        resize: int,
        annotated: bool = False,
    ) -> None:
        self.records = list(records)
        self.patches = list(patches)
        self.in_channels = in_channels
        self.resize = resize
        self.annotated = annotated
        self._cache = cache
        self._guides = guides
        self._guide_names: list[str] = []
        self._labels = {group: index for index, group in enumerate(groups)}
        used = self.records
        if not annotated:
            # Where masks play no part, one that changes must not have slices prepared again.
            used = [replace(record, mask=None) for record in self.records]
        progress = tqdm(used, "preparing slices", delay=2.0, leave=False, disable=None)
        self._keys = [cache.add(record) for record in progress]
        for record, key in zip(self.records, self._keys, strict=True):
            channels = cache.load(key).image.shape[0]
            if channels not in (1, in_channels):
                raise ValueError(
                    f"{record.image}: image has {channels} channels, the network takes "
                    f"{in_channels}; set in_channels, or convert the image"
                )
        counts = [len(own) for own in self.patches]
        self._slice_of = np.repeat(np.arange(len(counts)), counts)
        self._number = np.concatenate([np.arange(count) for count in counts])

    def __len__(self) -> int:
        """Number of patches."""
        return len(self._slice_of)

    def record_of(self, index: int) -> Record:
        """The slice of a patch."""
        return self.records[int(self._slice_of[index])]

    def name_of(self, index: int) -> str:
        """The name of a patch, ``slice@y,x``."""
        owner = int(self._slice_of[index])
        y, x = self.patches[owner].corners[self._number[index]].tolist()
        return f"{self.records[owner].name}@{y},{x}"

    def by_group_and_patient(self) -> list[list[list[int]]]:
        """Indices of the patches of every patient of every group."""
        members: dict[str, dict[str, list[int]]] = {}
        for index, owner in enumerate(self._slice_of.tolist()):
            record = self.records[owner]
            members.setdefault(record.group, {}).setdefault(record.patient, []).append(index)
        return [
            [members[group][patient] for patient in sorted(members[group])]
            for group in sorted(members)
        ]

    def draw_guides(self, key: str, predict: Predict) -> None:
        """Have a guide for every slice from now on; see :meth:`GuideStore.add`.

        Args:
            key: Says which network it is and how it is used.
            predict: Draws the guide of an image.
        """
        progress = tqdm(self.records, "drawing guides", delay=2.0, leave=False, disable=None)
        self._guide_names = [self._guides.add(key, predict, r.image) for r in progress]

    def cut(self, index: int) -> Pixels:
        """The pixels of a patch: ``image``, and what else there is of it, each (C, Y, X)."""
        owner = int(self._slice_of[index])
        window = self.patches[owner].window(int(self._number[index]))
        prepared = self._cache.load(self._keys[owner])
        arrays: dict[str, NDArray[Any]] = {"image": prepared.image[:, *window]}
        if self.annotated:
            arrays |= _annotation(prepared, window)
        if self._guide_names:
            arrays["guide"] = self._guides.load(self._guide_names[owner])[None, *window]
        return {key: torch.from_numpy(np.array(value)) for key, value in arrays.items()}

    def sample(self, index: int, pixels: Pixels) -> PatchSample:
        """The pixels of a patch as a sample: image and masks resized, channels repeated.

        Args:
            index: Of the patch.
            pixels: Of :meth:`cut`, augmented or not.
        """
        owner = int(self._slice_of[index])
        record, own = self.records[owner], self.patches[owner]
        image = torch.as_tensor(pixels["image"], dtype=torch.float32)
        resized = interpolate(image[None], (self.resize, self.resize), mode="bilinear")[0]
        sample: PatchSample = {
            "image": resized.expand(self.in_channels, -1, -1).contiguous(),
            "label": torch.tensor(self._labels[record.group]),
            "spacing_um": self._spacing_um(owner) * (own.size / self.resize),
            "name": self.name_of(index),
            "slice": record.name,
            "patient": record.patient,
            "group": record.group,
        }
        if "guide" in pixels:
            sample["guide"] = torch.as_tensor(pixels["guide"], dtype=torch.float32)
        if self.annotated:
            mask, ignored = (self._nearest(pixels[key]) for key in ("mask", "ignored"))
            sample["mask"], sample["ignored"] = mask.long(), ignored.bool()
        return sample

    def _nearest(self, labels: Tensor) -> Tensor:
        """Labels (1, Y, X) of a patch, resized: (Y', X')."""
        values = torch.as_tensor(labels, dtype=torch.float32)[None]
        return interpolate(values, (self.resize, self.resize), mode="nearest-exact")[0, 0]

    def _spacing_um(self, owner: int) -> torch.Tensor:
        """Pixel size (Y, X) in µm of a slice: the manifest's, else the file's, else NaN."""
        pixel_size = self.records[owner].pixel_size_um
        if pixel_size is not None:
            return torch.full((2,), pixel_size, dtype=torch.float64)
        found = self._cache.load(self._keys[owner]).spacing_um
        return torch.tensor(found or (np.nan, np.nan), dtype=torch.float64)


def _annotation(prepared: PreparedImage, window: tuple[slice, slice]) -> dict[str, NDArray[Any]]:
    """Mask and ignored pixels of a window, (1, Y, X) each; nothing is known without a mask."""
    shape = (1, *(side.stop - side.start for side in window))
    if prepared.mask is None:
        return {"mask": np.zeros(shape, np.uint8), "ignored": np.ones(shape, np.uint8)}
    ignored = (
        np.zeros(shape, np.uint8) if prepared.ignored is None else prepared.ignored[None, *window]
    )
    return {"mask": prepared.mask[None, *window], "ignored": ignored.astype(np.uint8)}


class ClassifiedPatches(Dataset[PatchSample]):
    """Every patch in order, without anything random.

    Args:
        source: Slices and their patches.
    """

    def __init__(self, source: SlicePatchSource) -> None:
        self.source = source

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.source)

    def __getitem__(self, index: int) -> PatchSample:
        """The sample of a patch."""
        return self.source.sample(index, self.source.cut(index))


class RandomPatches(Dataset[PatchSample]):
    """Augmented patches; an index is (patch, seed), and the seed decides the augmentation.

    Args:
        source: Slices and their patches.
        augmentation: MONAI dictionary transforms over what :meth:`SlicePatchSource.cut` gives.
    """

    def __init__(self, source: SlicePatchSource, augmentation: Sequence[Transform]) -> None:
        self.source = source
        self._augment = Compose(list(augmentation)) if augmentation else None

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.source)

    def __getitem__(self, index: SampleIndex) -> PatchSample:
        """The sample of a patch and a seed."""
        patch, seed = index
        pixels = self.source.cut(patch)
        if self._augment is not None:
            pixels = augmented(self._augment, pixels, seed)
        return self.source.sample(patch, pixels)
