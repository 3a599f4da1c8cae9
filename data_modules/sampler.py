"""Which image, and which random seed, makes the i-th training sample of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch.distributed
from torch.utils.data import DataLoader, Sampler

SampleIndex = tuple[int, int]
"""Index of a record and the seed from which everything random about the sample is drawn."""


class SeededSampler(Sampler[SampleIndex]):
    """Endless shuffled passes over the records, cut into epochs of a fixed length.

    An epoch is a function of (seed, epoch) alone, so a resumed run sees the batches that an
    uninterrupted one would have seen. The passes run on from epoch to epoch: at any moment of
    the training the numbers of times two records were drawn differ by at most one. With
    ``torch.distributed`` initialised every process takes its own, equally long, share.

    Args:
        n_records: Number of records, at least 1.
        samples_per_epoch: Samples per epoch over all processes, at least 1.
        seed: Seed of the order and of the samples' own seeds.

    Raises:
        ValueError: If either number is not positive.
    """

    def __init__(self, n_records: int, samples_per_epoch: int, seed: int = 0) -> None:
        if n_records < 1 or samples_per_epoch < 1:
            raise ValueError(
                f"found {n_records} records and {samples_per_epoch} samples per epoch; "
                "expected at least 1 of each"
            )
        self.n_records = n_records
        self.samples_per_epoch = samples_per_epoch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields; the trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Samples per epoch of this process."""
        return -(-self.samples_per_epoch // _world()[1])

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield (record index, sample seed)."""
        rank, world = _world()
        total = len(self) * world
        order = self._order(self.epoch * total, total)
        generator = np.random.default_rng([self.seed, 1, self.epoch])
        seeds = generator.integers(2**31, size=total)
        for position in range(rank, total, world):
            yield int(order[position]), int(seeds[position])

    def _order(self, start: int, length: int) -> list[int]:
        """Records at the positions start ... start + length of the endless sequence."""
        first, last = start // self.n_records, (start + length - 1) // self.n_records
        passes = [
            np.random.default_rng([self.seed, 0, number]).permutation(self.n_records)
            for number in range(first, last + 1)
        ]
        offset = start - first * self.n_records
        chained: list[int] = np.concatenate(passes)[offset : offset + length].tolist()
        return chained


class ShardSampler(Sampler[int]):
    """Every record once, dealt out to the processes in turn.

    The last shares may be shorter by one: scores are summed over processes, so that an image more
    or less on one of them does no harm, while a repeated one would count twice. A process without
    any image would not take part in that sum; with fewer records than processes all of them get
    all records, and the means stay right.

    Args:
        n_records: Number of records.
    """

    def __init__(self, n_records: int) -> None:
        self.n_records = n_records

    def __len__(self) -> int:
        """Records of this process."""
        return len(self._share())

    def __iter__(self) -> Iterator[int]:
        """Yield record indices."""
        return iter(self._share())

    def _share(self) -> range:
        rank, world = _world()
        if self.n_records < world:
            return range(self.n_records)
        return range(rank, self.n_records, world)


class LateLoader(DataLoader[Any]):
    """A loader that asks its sampler for indices when the first batch is asked for.

    A plain loader with workers asks as soon as an iterator is made. A trainer that resumes makes
    the iterator first and tells the sampler the epoch afterwards, and would train on the batches
    of epoch 0 again.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches of the sampler's epoch at the time of the first one."""
        yield from super().__iter__()


def _world() -> tuple[int, int]:
    """Rank and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
