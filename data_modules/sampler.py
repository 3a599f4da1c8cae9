"""Which image, and which random seed, makes the i-th training sample of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch.distributed
from numpy.typing import NDArray
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

    def __init__(self, n_records: int, samples_per_epoch: int, *, seed: int = 0) -> None:
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


class BalancedSampler(SeededSampler):
    """Classes in turn, the patients of each in turn, and the samples of each patient in turn.

    Every pass visits each once, shuffled: however unequal they are, after any number of samples
    two classes were drawn equally often but for one, so were two patients of a class, and so were
    two samples of a patient. Otherwise as :class:`SeededSampler`.

    Args:
        members: Indices of the samples, by class and patient; none of them empty.
        samples_per_epoch: Samples per epoch over all processes, at least 1.
        seed: Seed of the order and of the samples' own seeds.
    """

    def __init__(
        self, members: Sequence[Sequence[Sequence[int]]], samples_per_epoch: int, *, seed: int = 0
    ) -> None:
        count = sum(len(patient) for patients in members for patient in patients)
        super().__init__(count, samples_per_epoch, seed=seed)
        self.members = members

    def _order(self, start: int, length: int) -> list[int]:
        """Samples at the positions start ... start + length of the endless sequence."""
        turns = np.arange(start, start + length)
        order: list[int] = self._draw(self.members, turns, [self.seed, 2]).tolist()
        return order

    def _draw(self, members: Sequence[Any], turns: NDArray[np.int64], key: list[int]) -> Any:
        """What is drawn at each turn of an endless sequence of shuffled passes over members.

        A member of a pass is drawn once in it, so the number of the pass is its own turn.
        """
        passes, places = np.divmod(turns, len(members))
        shuffled = {
            number: np.random.default_rng([*key, number]).permutation(len(members))
            for number in np.unique(passes).tolist()
        }
        chosen = np.array([shuffled[p][i] for p, i in zip(passes.tolist(), places, strict=True)])
        drawn = np.empty(len(turns), np.int64)
        for number in np.unique(chosen).tolist():
            member, here = members[number], chosen == number
            is_sample = isinstance(member, int)
            drawn[here] = member if is_sample else self._draw(member, passes[here], [*key, number])
        return drawn


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
