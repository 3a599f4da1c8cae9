import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lotus.measurement.thickness_map import blocks_of


@given(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=6))
@settings(max_examples=50, deadline=None)
def test_parts_of_any_size_become_blocks_of_one(depth, sizes):
    starts = np.cumsum([0, *sizes])
    volume = np.arange(starts[-1])[:, None, None]
    parts = [(int(a), volume[a : a + n]) for a, n in zip(starts, sizes, strict=False)]
    blocks = list(blocks_of(depth, parts))
    assert [start for start, _ in blocks] == list(range(0, len(volume), depth))
    assert all(len(block) == depth for _, block in blocks[:-1])
    assert [z for _, block in blocks for z in block.ravel().tolist()] == volume.ravel().tolist()
