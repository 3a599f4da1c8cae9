"""Random crops for training and whole images for evaluation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.data import set_track_meta
from monai.data.meta_obj import get_track_meta
from monai.transforms import Compose, Transform
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from data_modules.manifest import Record
from data_modules.mask_meaning import conclude_records
from data_modules.patch_cache import PatchCache, PreparedImage
from data_modules.pixel_sizes import resampling_of
from data_modules.sample import Pixels, Sample
from data_modules.sampler import SampleIndex
from lotus.transforms.resampling import Spacing

Window = tuple[slice, slice]
IGNORED = -1


class ImageSource:
    """Checked access to prepared images as the network wants them.

    Everything that can be wrong with the files is found when this is built.

    Args:
        records: What to read.
        cache: Where prepared images are.
        groups: All groups of the study; a sample's ``label`` is the index of its group.
        class_names: Foreground classes; a mask may hold 0 ... ``len(class_names)``.
        in_channels: Channels of the network; one-channel images are repeated.
        spacing_um: Pixel size (Y, X) in µm that images are resampled to; None: as they are.

    Raises:
        ValueError: If an image does not fit ``in_channels`` or a mask the classes, or if masks can
            be read in two ways.
    """

    def __init__(
        self,
        records: Sequence[Record],
        cache: PatchCache,
        *,
        groups: Sequence[str],
        class_names: Sequence[str],
        in_channels: int,
        spacing_um: Spacing | None = None,
    ) -> None:
        self.records = list(records)
        self.in_channels = in_channels
        self._cache = cache
        self._labels = {group: index for index, group in enumerate(groups)}
        progress = tqdm(self.records, "preparing images", delay=2.0, leave=False, disable=None)
        self._grids = [resampling_of(record, spacing_um) for record in self.records]
        self._keys = [cache.add(*each) for each in zip(progress, self._grids, strict=True)]
        for record, key in zip(self.records, self._keys, strict=True):
            _check_fit(record, cache.load(key), class_names, in_channels)
        facts = [cache.load(key).facts for key in self._keys]
        conclude_records(self.records, facts, option="mask_values")
        # All samples of a batch have the same entries.
        self._ignores = any(record.mask_values.ignore is not None for record in self.records)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.records)

    def prepared(self, index: int) -> PreparedImage:
        """The whole prepared image."""
        return self._cache.load(self._keys[index])

    def spacing_um(self, index: int) -> torch.Tensor:
        """Pixel size (Y, X) in µm, float64 (2,): the manifest's, else the file's, else NaN.

        That of the prepared image where it is resampled.
        """
        pixel_size = self.records[index].pixel_size_um
        if pixel_size is not None:
            spacing = (pixel_size, pixel_size)
        else:
            spacing = self.prepared(index).spacing_um or (np.nan, np.nan)
        grids = self._grids[index]
        known = spacing if grids is None else grids.spacing_um(spacing)
        return torch.tensor(known, dtype=torch.float64)

    def sample(self, index: int, pixels: Pixels) -> Sample:
        """Pixels of an image as a sample: grey repeated, masks without channel, types restored.

        Args:
            index: Index of the record.
            pixels: The whole image or a crop, interpolated or not.

        Returns:
            The sample; without ``mask`` and ``instances`` where the pixels have none.
        """
        record = self.records[index]
        image = torch.as_tensor(pixels["image"], dtype=torch.float32)
        sample: Sample = {
            "image": image.expand(self.in_channels, -1, -1).contiguous(),
            "label": torch.tensor(self._labels[record.group]),
            "spacing_um": self.spacing_um(index),
            "name": record.name,
            "patient": record.patient,
            "group": record.group,
            "modality": record.modality,
        }
        if "mask" in pixels:
            mask = torch.as_tensor(pixels["mask"][0], dtype=torch.int64)
            sample["mask"] = mask.clamp(min=0).contiguous()
            instances = torch.as_tensor(pixels["instances"][0], dtype=torch.int32)
            sample["instances"] = instances.contiguous()
            if self._ignores:
                sample["ignored"] = mask < 0
        return sample


class SegmentationDataset(Dataset[Sample]):
    """Random crops; an index is (record, seed), and the seed decides everything random.

    Args:
        source: Annotated images.
        patch_size: Edge of the square crop in pixels; smaller images are mirrored at
            their borders up to this size.
        augmentation: MONAI dictionary transforms over ``image``, ``mask`` and
            ``instances``, all channel first.
    """

    def __init__(
        self, source: ImageSource, patch_size: int, augmentation: Sequence[Transform]
    ) -> None:
        self.source = source
        self.patch_size = patch_size
        self._augment = Compose(list(augmentation)) if augmentation else None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: SampleIndex) -> Sample:
        """The sample of one record and seed."""
        record, seed = index
        return self.finish(self.cut(record, seed), record, seed)

    def cut(self, record: int, seed: int) -> Pixels:
        """A random crop before its augmentation.

        Args:
            record: Index of the record.
            seed: Decides the window, for a given size of the image.

        Returns:
            Image, mask and instances, each ``(C, Y, X)``.
        """
        prepared = self.source.prepared(record)
        rng = np.random.default_rng(seed)
        window = random_window(prepared.image.shape[1:], self.patch_size, rng)
        return crop(prepared, window, self.patch_size)

    def finish(self, pixels: Pixels, record: int, seed: int) -> Sample:
        """Augment a crop and add the facts of its record.

        Args:
            pixels: Of :meth:`cut`.
            record: Index of the record.
            seed: Decides the augmentation.

        Returns:
            The sample.
        """
        if self._augment is not None:
            pixels = augmented(self._augment, pixels, seed)
        return self.source.sample(record, pixels)


class WholeImageDataset(Dataset[Sample]):
    """Every image at its native size, without anything random.

    Args:
        source: Images, annotated or not, as they are.
        spacing_um: Pixel size (Y, X) in µm that the network sees them in; None: their own.
    """

    def __init__(self, source: ImageSource, spacing_um: Spacing | None = None) -> None:
        self.source = source
        self._grids = [resampling_of(record, spacing_um) for record in source.records]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """The sample of one record; without ``mask`` and ``instances`` if not annotated."""
        prepared = self.source.prepared(index)
        sample = self.source.sample(index, crop(prepared, (slice(None), slice(None)), 0))
        grids = self._grids[index]
        if grids is not None:
            sample["network_size"] = torch.tensor(grids.network)
        return sample


def augmented(transforms: Compose, pixels: Pixels, seed: int) -> Pixels:
    """Apply random transforms so that the seed decides everything.

    Args:
        transforms: MONAI dictionary transforms.
        pixels: Channel first.
        seed: Seed of the transforms' random state.

    Returns:
        The transformed pixels, without MONAI's metadata.
    """
    transforms.set_random_state(seed=seed)
    with _plain_tensors():
        changed: Pixels = transforms(pixels)
    return changed


def _check_fit(
    record: Record, prepared: PreparedImage, class_names: Sequence[str], in_channels: int
) -> None:
    channels = prepared.image.shape[0]
    if channels not in (1, in_channels):
        raise ValueError(
            f"{record.image}: image has {channels} channels, the network takes {in_channels}; "
            "set in_channels, or convert the image"
        )
    if record.mask_kind != "semantic" and len(class_names) != 1:
        raise ValueError(
            f"{record.mask or record.image}: a mask of kind {record.mask_kind} has one class; "
            f"found the {len(class_names)} class names {', '.join(class_names)}"
        )
    if prepared.classes > len(class_names):
        allowed = ", ".join(f"{i} {name}" for i, name in enumerate(("background", *class_names)))
        raise ValueError(
            f"{record.mask}: found label {prepared.classes}; allowed are {allowed} "
            "(masks of 0 and 255 are of mask_kind binary; mask_values name other values)"
        )


def random_window(size: tuple[int, ...], patch_size: int, rng: np.random.Generator) -> Window:
    """A uniformly drawn window, as much of it as the image has.

    Args:
        size: (Y, X) of the image in pixels.
        patch_size: Edge of the window in pixels.
        rng: Of the draw.
    """
    rows, columns = (int(rng.integers(max(edge - patch_size, 0) + 1)) for edge in size)
    return slice(rows, rows + patch_size), slice(columns, columns + patch_size)


def window_around(centre: tuple[int, int], size: tuple[int, ...], patch_size: int) -> Window:
    """The window with a pixel in its middle, moved into the image where it would reach over it.

    Args:
        centre: (row, column) of the pixel.
        size: (Y, X) of the image in pixels.
        patch_size: Edge of the window in pixels.
    """
    rows, columns = (
        min(max(at - patch_size // 2, 0), max(edge - patch_size, 0))
        for at, edge in zip(centre, size, strict=True)
    )
    return slice(rows, rows + patch_size), slice(columns, columns + patch_size)


def crop(prepared: PreparedImage, window: Window, smallest: int) -> Pixels:
    """Cut a window out of all arrays.

    Args:
        prepared: The whole image.
        window: Pixels (Y, X).
        smallest: Edge in pixels that the crop has at least, mirrored at its borders.

    Returns:
        What the image has of ``image``, ``mask`` and ``instances``, each ``(C, Y, X)``, in memory.
    """
    pixels = {"image": padded(prepared.image[:, *window], smallest)}
    if prepared.mask is not None and prepared.instances is not None:
        mask = padded(prepared.mask[None, *window], smallest)
        instances = padded(prepared.instances[None, *window], smallest)
        pixels["mask"] = mask.astype(np.int64)
        if prepared.ignored is not None:
            pixels["mask"][padded(prepared.ignored[None, *window], smallest)] = IGNORED
        pixels["instances"] = instances.astype(np.int32)
    return {key: torch.from_numpy(np.array(value)) for key, value in pixels.items()}


def padded(array: NDArray[Any], smallest: int) -> NDArray[Any]:
    """Mirror an array ``(C, Y, X)`` at its borders up to a smallest edge.

    Args:
        array: The array.
        smallest: The edge in pixels; larger ones stay.
    """
    missing = [max(smallest - edge, 0) for edge in array.shape[1:]]
    if not any(missing):
        return array
    margins = [(0, 0), *((edge // 2, edge - edge // 2) for edge in missing)]
    return np.pad(array, margins, mode="reflect")


@contextmanager
def _plain_tensors() -> Iterator[None]:
    """Have MONAI return tensors without its metadata, which would cost time and is not used."""
    tracked = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(tracked)
