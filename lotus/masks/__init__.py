"""Masks and label maps as arrays: components, closing, filling; nothing here imports torch."""

from lotus.masks.components import connected_components, split_touching, without_small
from lotus.masks.morphology import close_with_disk, fill_voids
from lotus.masks.union_find import UnionFind

__all__ = [
    "UnionFind",
    "close_with_disk",
    "connected_components",
    "fill_voids",
    "split_touching",
    "without_small",
]
