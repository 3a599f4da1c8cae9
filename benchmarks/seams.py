"""How good class maps are at the seams between tiles, overlapped and blended or side by side.

``python -m benchmarks.seams RUN MANIFEST``: the annotated ROIs of patients whom the run does not
know go through `lotus segment` with both tilings. Dice of all pixels of a domain together, as the
mean over its classes, within a band along the seams of the quadrants and elsewhere.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.manifest import Record, read_manifest
from lotus.imaging.raster import read_label_map
from lotus.inference.roi_segmenter import RoiSegmenter, load_roi_segmenter
from lotus.inference.segment_rois import Roi, RoiOptions, segment_rois, unknown_rois
from lotus.metrics.functional import confusion_matrix
from lotus.runs.class_maps import ClassMap
from lotus.tasks.routed_roi import Tiling, roi_grid
from lotus.training.known_patients import COHORT, members, record_of
from lotus.training.trained_on import checkpoint_of

BAND = 8
"""Pixels on either side of a seam."""
TILINGS: tuple[Tiling, ...] = ("overlapped", "quadrants")


def near_seams(size: tuple[int, int], tile: int) -> NDArray[np.bool_]:
    """Where seams between tiles side by side are near, (Y, X)."""
    grid = roi_grid(size, tile, "quadrants")
    near = np.zeros(size, bool)
    for start in grid.rows[1:]:
        near[start - BAND : start + BAND] = True
    for start in grid.columns[1:]:
        near[:, start - BAND : start + BAND] = True
    return near


def pooled_dice(counts: NDArray[np.int64]) -> float:
    """Mean over the classes of the Dice of all pixels together."""
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.nanmean((2 * counts.diagonal() / np.where(both, both, np.nan))[1:]))


def scores_of(
    maps: list[ClassMap], records: dict[Path, Record], segmenter: RoiSegmenter
) -> dict[str, list[float]]:
    """Dice near seams and elsewhere, of the rightly routed ROIs of each domain."""
    found: dict[str, list[float]] = {}
    for domain, names in segmenter.class_names.items():
        counts = np.zeros((2, len(names) + 1, len(names) + 1), np.int64)
        for each in maps:
            record = records[each.image]
            if each.domain != domain or record.modality != domain or record.mask is None:
                continue
            given, true = read_label_map(each.labels), read_label_map(record.mask)
            near = near_seams((given.shape[0], given.shape[1]), segmenter.tile)
            for place, ignored in enumerate((~near, near)):
                counts[place] += confusion_matrix(given, true, len(names), ignored)
        found[domain] = [pooled_dice(own) for own in counts]
    return found


def main() -> int:
    """Print a row per domain and tiling."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="run of a dual-domain training")
    parser.add_argument("manifest", type=Path, help="that it was trained on")
    parser.add_argument("--most", type=int, default=24, help="ROIs per domain (%(default)s)")
    arguments = parser.parse_args()
    segmenter = load_roi_segmenter(arguments.run, "cpu")
    known = members(record_of(checkpoint_of(arguments.run), COHORT), COHORT)
    records = {r.image: r for r in read_manifest(arguments.manifest) if r.mask is not None}
    rois: list[Roi] = []
    for domain in segmenter.class_names:
        rois += unknown_rois([*records.values()], [domain], known)[: arguments.most]
    print("| domain | tiling | Dice near seams | elsewhere |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for tiling in TILINGS:
            options = RoiOptions(tiling=tiling)
            maps = segment_rois(segmenter, rois, Path(folder) / tiling, options)
            for domain, (near, far) in scores_of(maps, records, segmenter).items():
                print(f"| {domain} | {tiling} | {near:.4f} | {far:.4f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
