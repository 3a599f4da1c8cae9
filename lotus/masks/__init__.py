"""Masks and label maps as arrays: what their values mean, components, opening, closing, filling.

Nothing here imports torch.
"""

from lotus.masks.block_components import BlockComponents, label_in_blocks
from lotus.masks.cleaning import CleanedVolume, PoreCleaning, clean_pores
from lotus.masks.components import connected_components, split_touching, without_small
from lotus.masks.facts import FolderFacts, MaskFacts, mask_facts
from lotus.masks.meaning import Meaning, conclude
from lotus.masks.moments import Moments, joined_moments, object_moments
from lotus.masks.morphology import (
    close_with_disk,
    dilate_with_ball,
    fill_voids,
    open_with_ball,
    open_with_square,
)
from lotus.masks.thresholds import ZERNIKE_RANGES, classes_in_ranges, multi_otsu_classes
from lotus.masks.union_find import UnionFind
from lotus.masks.values import USUAL_VALUES, Labels, MaskKind, MaskValues, classes_and_objects

__all__ = [
    "USUAL_VALUES",
    "ZERNIKE_RANGES",
    "BlockComponents",
    "CleanedVolume",
    "FolderFacts",
    "Labels",
    "MaskFacts",
    "MaskKind",
    "MaskValues",
    "Meaning",
    "Moments",
    "PoreCleaning",
    "UnionFind",
    "classes_and_objects",
    "classes_in_ranges",
    "clean_pores",
    "close_with_disk",
    "conclude",
    "connected_components",
    "dilate_with_ball",
    "fill_voids",
    "joined_moments",
    "label_in_blocks",
    "mask_facts",
    "multi_otsu_classes",
    "object_moments",
    "open_with_ball",
    "open_with_square",
    "split_touching",
    "without_small",
]
