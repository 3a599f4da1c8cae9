"""Masks and label maps as arrays: what their values mean, components, opening, closing, filling.

Nothing here imports torch.
"""

from lotus.masks.components import connected_components, split_touching, without_small
from lotus.masks.facts import FolderFacts, MaskFacts, mask_facts
from lotus.masks.meaning import Meaning, conclude
from lotus.masks.morphology import close_with_disk, fill_voids, open_with_square
from lotus.masks.thresholds import ZERNIKE_RANGES, classes_in_ranges, multi_otsu_classes
from lotus.masks.union_find import UnionFind
from lotus.masks.values import USUAL_VALUES, Labels, MaskKind, MaskValues, classes_and_objects

__all__ = [
    "USUAL_VALUES",
    "ZERNIKE_RANGES",
    "FolderFacts",
    "Labels",
    "MaskFacts",
    "MaskKind",
    "MaskValues",
    "Meaning",
    "UnionFind",
    "classes_and_objects",
    "classes_in_ranges",
    "close_with_disk",
    "conclude",
    "connected_components",
    "fill_voids",
    "mask_facts",
    "multi_otsu_classes",
    "open_with_square",
    "split_touching",
    "without_small",
]
