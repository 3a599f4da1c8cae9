"""Crops of slabs for training, and whole slices with their neighbours for evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.transforms import Compose
from numpy.typing import NDArray
from torch.utils.data import Dataset

from data_modules.blocks import Block
from data_modules.dataset import Window, augmented, padded, random_window, window_around
from data_modules.sample import SlabSample
from data_modules.sampler import SampleIndex
from data_modules.slab_source import SlabSource
from lotus.windows import slab_indices, slab_reach

LabelledSlice = tuple[int, int]
"""Number of a block, and of one of its slices in the volume."""


@dataclass(frozen=True)
class Slabs:
    """How many slices a network takes, and of how many in their middle it speaks.

    Attributes:
        slices: T.
        output_slices: D.

    Raises:
        ValueError: The middle is not defined.
    """

    slices: int
    output_slices: int = 1

    def __post_init__(self) -> None:
        """Check that there is a middle."""
        if not 1 <= self.output_slices <= self.slices or (self.slices - self.output_slices) % 2:
            raise ValueError(
                f"slices is {self.slices}, output_slices {self.output_slices}; expected an odd "
                "number of slices with 1 in the middle, or as many of both"
            )

    @property
    def margin(self) -> int:
        """Slices before the first that has an output, and after the last."""
        return (self.slices - self.output_slices) // 2

    @property
    def reach(self) -> int:
        """How far from a slice a slab can reach that has an output for it."""
        return slab_reach(self.slices, self.output_slices)


def slices_in_turn(blocks: Sequence[Block], count: int | None, *, seed: int) -> list[LabelledSlice]:
    """Labelled slices, volume by volume in turn.

    Args:
        blocks: Annotated ones.
        count: How many; the choice of a smaller count is part of that of a larger one. None: all.
        seed: Of the order of the volumes and of the slices of each.

    Raises:
        ValueError: There are fewer, or ``count`` is not positive.
    """
    by_volume: dict[str, list[LabelledSlice]] = {}
    for number, block in enumerate(blocks):
        own = by_volume.setdefault(str(block.record.image), [])
        own += [(number, z) for z in range(block.start, block.stop)]
    total = sum(map(len, by_volume.values()))
    if count is None:
        return [each for own in by_volume.values() for each in own]
    if not 1 <= count <= total:
        raise ValueError(
            f"training_slices is {count}; expected 1 ... {total}, the labelled slices that train"
        )
    generator = np.random.default_rng(seed)
    volumes = generator.permutation(sorted(by_volume)).tolist()
    queues = [[by_volume[v][i] for i in generator.permutation(len(by_volume[v]))] for v in volumes]
    longest = max(map(len, queues))
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return turns[:count]


class _SlabSamples(Dataset[SlabSample]):
    """What samples of slabs have in common."""

    def __init__(
        self, source: SlabSource, slabs: Slabs, *, in_channels: int, groups: Sequence[str]
    ) -> None:
        self.source = source
        self.slabs = slabs
        self.in_channels = in_channels
        self._labels = {group: index for index, group in enumerate(groups)}

    def sample(
        self,
        block: int,
        z: int,
        image: NDArray[np.float32] | torch.Tensor,
        mask: NDArray[np.int64] | torch.Tensor | None,
    ) -> SlabSample:
        """Voxels as a sample.

        Args:
            block: Number of the block.
            z: First slice of the mask in the volume.
            image: (T, Y, X).
            mask: (D, Y, X), -1 where nothing is known; None without annotation.
        """
        record = self.source.blocks[block].record
        grey = torch.as_tensor(image, dtype=torch.float32)
        sample: SlabSample = {
            "image": grey[:, None].expand(-1, self.in_channels, -1, -1).contiguous(),
            "label": torch.tensor(self._labels[record.group]),
            "spacing_um": torch.tensor(self.source.spacing_um(block), dtype=torch.float64),
            "z": torch.tensor(z),
            "depth": torch.tensor(self.source.size(block)[0]),
            "name": f"{record.name}_z{z:04d}",
            "patient": record.patient,
            "group": record.group,
            "modality": record.modality,
        }
        if mask is not None:
            classes = torch.as_tensor(mask, dtype=torch.int64)
            if self.slabs.output_slices == 1:
                classes = classes[0]
            sample["mask"] = classes.clamp(min=0).contiguous()
            # All samples of a batch have the same entries.
            if self.slabs.output_slices > 1 or self.source.ignores:
                sample["ignored"] = (classes < 0).contiguous()
        return sample


class SlabDataset(_SlabSamples):
    """Random crops around labelled slices; an index is (slice, seed), the seed decides the rest.

    Where D > 1, the labelled slice lies in the middle of those with a mask, or as near to it as the
    block allows, and slices that are not among the labelled ones are ignored.

    Args:
        source: Annotated blocks.
        slabs: What a slab is.
        chosen: The labelled slices.
        patch_size: Edge of the square crop in pixels.
        in_channels: Channels of the network.
        groups: All groups of the study.
        centred_share: Share of the crops that are centred, as far as the slice allows, on a voxel
            of a class that is drawn among those of the slice; the others lie anywhere.
        augment: MONAI dictionary transforms over ``image`` and ``mask``, slices first.
    """

    def __init__(
        self,
        source: SlabSource,
        slabs: Slabs,
        chosen: Sequence[LabelledSlice],
        *,
        patch_size: int,
        in_channels: int,
        groups: Sequence[str],
        centred_share: float = 0.0,
        augment: Compose | None = None,
    ) -> None:
        super().__init__(source, slabs, in_channels=in_channels, groups=groups)
        self.chosen = list(chosen)
        self.patch_size = patch_size
        self.centred_share = centred_share
        self._augment = augment
        self._known: list[set[int]] = [set() for _ in source.blocks]
        for block, z in self.chosen:
            self._known[block].add(z)

    def __len__(self) -> int:
        """Number of labelled slices."""
        return len(self.chosen)

    @property
    def patches(self) -> int:
        """Crops that cover every labelled slice once."""
        sizes = [self.source.size(block)[1:] for block, _ in self.chosen]
        return sum(-(-y // self.patch_size) * -(-x // self.patch_size) for y, x in sizes)

    def __getitem__(self, index: SampleIndex) -> SlabSample:
        """The sample of a labelled slice and a seed."""
        number, seed = index
        block, z = self.chosen[number]
        own, size = self.source.blocks[block], self.source.size(block)
        outputs = self.slabs.output_slices
        start = max(min(z - outputs // 2, own.stop - outputs), own.start)
        rng = np.random.default_rng(seed)
        window = random_window(size[1:], self.patch_size, rng)
        if rng.random() < self.centred_share:
            window = self._around_a_class(block, z, rng) or window
        slab = slab_indices(start - self.slabs.margin, self.slabs.slices, size[0])
        image = self.source.image(block, slab, window)
        mask = self.source.mask(
            block, np.arange(start, start + outputs), window, self._known[block]
        )
        pixels = {
            name: torch.from_numpy(np.array(padded(values, self.patch_size)))
            for name, values in (("image", image), ("mask", mask))
        }
        if self._augment is not None:
            pixels = augmented(self._augment, pixels, seed)
        return self.sample(block, start, pixels["image"], pixels["mask"])

    def _around_a_class(self, block: int, z: int, rng: np.random.Generator) -> Window | None:
        """A window around a voxel of one of the classes of a slice; None where there is none."""
        whole: Window = slice(None), slice(None)
        (classes,) = self.source.mask(block, np.array([z]), whole, {z})
        present = np.flatnonzero(np.bincount(classes[classes > 0]))
        if not present.size:
            return None
        rows, columns = np.nonzero(classes == rng.choice(present))
        drawn = int(rng.integers(len(rows)))
        return window_around(
            (int(rows[drawn]), int(columns[drawn])), classes.shape, self.patch_size
        )


class WholeSliceDataset(_SlabSamples):
    """Whole slices, D at a time, with every neighbour that windows over the volume take in.

    The image of a sample has T slices where D is 1. Slices beyond an end of the volume are repeated
    ones.

    Args:
        source: Blocks.
        slabs: What a slab is.
        in_channels: Channels of the network.
        groups: All groups of the study.
        is_annotated: Whether masks are handed out.
    """

    def __init__(
        self,
        source: SlabSource,
        slabs: Slabs,
        *,
        in_channels: int,
        groups: Sequence[str],
        is_annotated: bool,
    ) -> None:
        super().__init__(source, slabs, in_channels=in_channels, groups=groups)
        self._is_annotated = is_annotated
        self._items = [
            (number, z, min(z + slabs.output_slices, block.stop))
            for number, block in enumerate(source.blocks)
            for z in range(block.start, block.stop, slabs.output_slices)
        ]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._items)

    def __getitem__(self, index: int) -> SlabSample:
        """The sample of the next D slices of a block, fewer at its end."""
        block, start, stop = self._items[index]
        reach, depth = self.slabs.reach, self.source.size(block)[0]
        whole: Window = slice(None), slice(None)
        slab = slab_indices(start - reach, stop - start + 2 * reach, depth)
        mask = None
        if self._is_annotated:
            outputs = range(start, stop)
            mask = self.source.mask(block, np.asarray(outputs), whole, outputs)
        return self.sample(block, start, self.source.image(block, slab, whole), mask)
