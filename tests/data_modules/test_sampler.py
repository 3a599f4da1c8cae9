from collections import Counter

import pytest
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing._internal.distributed.fake_pg import FakeStore

from data_modules.sampler import BalancedSampler, SeededSampler, ShardSampler


def epoch(sampler, number):
    sampler.set_epoch(number)
    return list(sampler)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 50), st.integers(0, 4))
def test_records_are_drawn_equally_often_at_every_moment(n_records, samples, seed):
    sampler = SeededSampler(n_records, samples, seed=seed)
    drawn = []
    for number in range(4):
        drawn += [index for index, _ in epoch(sampler, number)]
        counts = Counter(drawn)
        assert max(counts.values()) - min(counts.get(i, 0) for i in range(n_records)) <= 1
    assert len(drawn) == 4 * samples


def test_an_epoch_depends_on_seed_and_number_alone():
    straight = SeededSampler(5, 12, seed=7)
    epochs = [epoch(straight, number) for number in range(3)]
    assert epoch(SeededSampler(5, 12, seed=7), 2) == epochs[2]
    assert epochs[0] != epochs[1]
    assert epoch(SeededSampler(5, 12, seed=8), 0) != epochs[0]


def test_sample_seeds_differ():
    seeds = [seed for number in range(5) for _, seed in epoch(SeededSampler(3, 200), number)]
    assert len(set(seeds)) == len(seeds)


def test_processes_share_the_epoch_of_one():
    alone = epoch(SeededSampler(7, 12, seed=1), 3)
    shares = []
    for rank in range(3):
        dist.init_process_group("fake", rank=rank, world_size=3, store=FakeStore())
        try:
            shares.append(epoch(SeededSampler(7, 12, seed=1), 3))
            assert len(SeededSampler(7, 11)) == 4
        finally:
            dist.destroy_process_group()
    assert [len(share) for share in shares] == [4, 4, 4]
    assert [sample for turn in zip(*shares, strict=True) for sample in turn] == alone


@pytest.mark.parametrize(
    ("records", "shares"), [(7, [[0, 3, 6], [1, 4], [2, 5]]), (2, [[0, 1]] * 3)]
)
def test_processes_share_whole_images(records, shares):
    assert list(ShardSampler(records)) == list(range(records))
    for rank, share in enumerate(shares):
        dist.init_process_group("fake", rank=rank, world_size=3, store=FakeStore())
        try:
            assert list(ShardSampler(records)) == share
            assert len(ShardSampler(records)) == len(share)
        finally:
            dist.destroy_process_group()


@pytest.mark.parametrize(("records", "samples"), [(0, 5), (5, 0)])
def test_nothing_to_draw(records, samples):
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        SeededSampler(records, samples)


MEMBERS = [[[0, 1, 2], [3]], [[4, 5], [6, 7], [8]], [[9]]]


def group_of(sample):
    return 0 if sample < 4 else 1 if sample < 9 else 2


def balanced(seed=0, samples=18):
    return BalancedSampler(MEMBERS, samples, seed=seed)


def epochs(sampler, count):
    for number in range(count):
        sampler.set_epoch(number)
        yield from (sample for sample, _ in sampler)


def test_groups_patients_and_their_samples_take_turns_over_epochs():
    drawn = list(epochs(balanced(samples=7), 26))
    for end in range(1, len(drawn)):
        groups = Counter(map(group_of, drawn[:end]))
        assert max(groups.values()) - min(groups[g] for g in range(3)) <= 1
    counts = Counter(drawn)
    first, second = sum(counts[i] for i in (0, 1, 2)), counts[3]
    assert abs(first - second) <= 1
    assert max(counts[i] for i in (0, 1, 2)) - min(counts[i] for i in (0, 1, 2)) <= 1
    patients = [counts[4] + counts[5], counts[6] + counts[7], counts[8]]
    assert max(patients) - min(patients) <= 1


def test_balanced_order_is_shuffled_and_a_function_of_seed_and_epoch():
    sampler = balanced()
    one = list(epochs(sampler, 2))
    assert one == list(epochs(sampler, 2))
    assert one[:18] != one[18:]
    assert one != list(epochs(balanced(seed=1), 2))
    turns = {tuple(map(group_of, one[i : i + 3])) for i in range(0, 36, 3)}
    assert len(turns) > 2
    sampler.set_epoch(1)
    assert [sample for sample, _ in sampler] == one[18:]
    assert len({seed for _, seed in sampler}) == 18
