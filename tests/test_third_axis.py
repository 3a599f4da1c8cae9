"""A function that is 2-D refuses a third axis, in one clear line, instead of cutting it off."""

from pathlib import Path

import numpy as np
import pytest

from lotus.imaging import (
    TiledWriter,
    check_usable,
    object_features,
    write_geojson,
    write_image,
    write_label_map,
    write_tiled,
)
from lotus.imaging.outlines import outline_objects
from lotus.imaging.raster import pixel_size_fields
from lotus.imaging.window_sources import ArraySource, SegmentCache, SegmentSource
from lotus.masks import UnionFind, without_small
from lotus.metrics import score_image
from lotus.metrics.functional import hausdorff_distances, lotus2024_scores
from lotus.metrics.functional.surface_distance import nearest_distances
from lotus.morphometry.objects import object_table
from lotus.morphometry.shape import Runs, crofton_perimeters
from lotus.schemes import ConnectedComponents
from lotus.transforms.appearance import RandAppearanced
from lotus.transforms.degradation import degrade
from lotus.transforms.stain import RandStaind
from lotus.windows import LabelBand, decode_bands, window_grid

VOLUME = np.ones((3, 8, 8), np.float32)
LABELS = np.ones((3, 8, 8), np.int32)
SLICE = LABELS[0]
EDGE = LABELS > 0
VOXEL = (2.0, 1.0, 1.0)
PATH = Path("nowhere.tif")

REFUSALS = {
    "window_grid": lambda: window_grid((64, 64, 64), 64, 0.25),
    # Bands so low that no row is ever complete, which gave no band at all.
    "decode_bands": lambda: list(
        decode_bands([VOLUME[None]], ConnectedComponents(), height=64, halo=8, same=UnionFind())
    ),
    "LabelBand": lambda: LabelBand(0, LABELS, VOLUME[None], 1, 0, SLICE[0]),
    "object_features: labels": lambda: list(object_features(LABELS, "lacuna")),
    "object_features: offset": lambda: list(object_features(SLICE, "lacuna", offset_yx=(0, 0, 0))),
    "object_features: spacing": lambda: list(object_features(SLICE, "lacuna", spacing_um=VOXEL)),
    "write_geojson: spacing": lambda: write_geojson(PATH, SLICE, "lacuna", spacing_um=VOXEL),
    "outline_objects: labels": lambda: outline_objects(LABELS),
    "outline_objects: offset": lambda: outline_objects(SLICE, (0, 0, 0)),
    "pixel_size_fields": lambda: pixel_size_fields("YX", VOXEL),
    "check_usable": lambda: check_usable(VOLUME[None], PATH),
    "write_image": lambda: write_image(PATH, VOLUME),
    "write_image: spacing": lambda: write_image(PATH, VOLUME[0], VOXEL),
    "write_label_map": lambda: write_label_map(PATH, LABELS),
    "write_label_map: spacing": lambda: write_label_map(PATH, SLICE, VOXEL),
    "TiledWriter": lambda: TiledWriter(PATH, (64, 64, 64), np.uint8),
    "TiledWriter: spacing": lambda: TiledWriter(PATH, (64, 64), np.uint8, spacing_um=VOXEL),
    "write_tiled": lambda: write_tiled(PATH, (64, 64, 64), np.uint8, [LABELS]),
    "ArraySource": lambda: ArraySource(VOLUME[None]),
    "SegmentSource": lambda: SegmentSource(PATH, None, [], (64, 64, 64), SegmentCache(0)),
    "without_small: spacing": lambda: without_small(LABELS, 2, (1.0, 1.0)),
    "object_table": lambda: object_table(LABELS),
    "object_table: spacing": lambda: object_table(SLICE, spacing_um=VOXEL),
    "object_table: offset": lambda: object_table(SLICE, offset_yx=(0, 0, 0)),
    "Runs": lambda: Runs(LABELS),
    "crofton_perimeters": lambda: crofton_perimeters(LABELS, 1),
    "score_image: spacing": lambda: score_image(LABELS, LABELS, (1.0, 1.0)),
    "hausdorff_distances": lambda: hausdorff_distances(LABELS[None], LABELS[None]),
    "nearest_distances": lambda: nearest_distances(EDGE[None], EDGE[None], (1.0,) * 4),
    "nearest_distances: voxel": lambda: nearest_distances(EDGE, EDGE, (1.0, 1.0)),
    "lotus2024_scores": lambda: lotus2024_scores(LABELS, LABELS),
    "degrade": lambda: degrade(
        VOLUME[None], contrast=0.5, blur=0.0, noise=0.0, random=np.random.RandomState(0)
    ),
    # Three slices of one channel are not one slice of three.
    "RandAppearanced": lambda: RandAppearanced(grey_prob=1.0)({"image": VOLUME[:, None]}),
    "RandStaind": lambda: RandStaind(prob=1.0)({"image": VOLUME[:, None]}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_third_axis_is_refused_in_one_line(name):
    with pytest.raises(ValueError, match=r"\d") as caught:
        REFUSALS[name]()
    message = str(caught.value)
    assert "\n" not in message
    # Not NumPy's "too many values to unpack": what was found, and what would be right.
    assert "unpack" not in message
    assert any(word in message for word in ("expected", "(Y, X)", "2-D", "one per axis", "needs"))
    assert not PATH.exists()
