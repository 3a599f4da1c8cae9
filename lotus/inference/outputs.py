"""The four files that `lotus segment` writes for an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import hidden_folder
from lotus.imaging import TiledWriter, object_features, write_features, write_tiled
from lotus.imaging.file_names import LABELS_ENDING, PROBABILITY_ENDING
from lotus.imaging.geojson import Feature
from lotus.imaging.raster import label_type
from lotus.inference.label_spool import LabelSpool
from lotus.inference.native_bands import native_bands
from lotus.inference.object_rows import ObjectRows, class_of
from lotus.masks import UnionFind
from lotus.schemes import InstanceScheme
from lotus.transforms.resampling import Resampling
from lotus.windows import FinishedObjects, ObjectCollector, WindowGrid, decode_bands

Spacing = tuple[float, float] | None


@dataclass(frozen=True)
class OutputFiles:
    """Names of the results of one image.

    Attributes:
        labels: Label map, tiled OME-TIFF.
        probability: Foreground probability 0-255, tiled OME-TIFF.
        outlines: GeoJSON for QuPath.
        table: CSV, one row per object.
    """

    labels: Path
    probability: Path
    outlines: Path
    table: Path

    @classmethod
    def of(cls, folder: Path, stem: str) -> OutputFiles:
        """The files of the image called ``stem`` in ``folder``."""
        return cls(
            labels=folder / f"{stem}{LABELS_ENDING}.tif",
            probability=folder / f"{stem}{PROBABILITY_ENDING}.tif",
            outlines=folder / f"{stem}.geojson",
            table=folder / f"{stem}_objects.csv",
        )


@dataclass(frozen=True)
class SegmentedObjects:
    """What was found in an image.

    Attributes:
        count: Number of objects.
        unmeasured: Objects too large to be outlined and measured; their label, area, place and
            probability are in the table, their other columns are empty.
    """

    count: int
    unmeasured: int


def write_outputs(
    folder: Path,
    stem: str,
    bands: Iterable[NDArray[np.float32]],
    *,
    grid: WindowGrid,
    scheme: InstanceScheme,
    class_names: list[str],
    spacing_um: Spacing,
    grids: Resampling | None = None,
) -> SegmentedObjects:
    """Find, measure, outline and write the objects of a probability map that arrives in bands.

    Memory is bounded by a few bands. The files are written in a hidden folder and appear together
    once all are whole; until then earlier results stay.

    Args:
        folder: Where the results go; it is there already.
        stem: What their names start with.
        bands: Probabilities (K, rows, X) from top to bottom.
        grid: The windows that the bands come from.
        scheme: Finds the objects.
        class_names: Foreground classes. Of several, an object has the one with the greatest mean
            probability, and the table says which.
        spacing_um: (Y, X) pixel size, None where it is unknown: nothing is given in µm then.
        grids: Where the bands are in another grid than the image.
    """
    with hidden_folder(folder, prefix=f".{stem}-") as hidden:
        drafts = OutputFiles.of(hidden, stem)
        found = _write(
            drafts,
            bands,
            grid=grid,
            scheme=scheme,
            class_names=class_names,
            spacing_um=spacing_um,
            grids=grids,
        )
        finals = astuple(OutputFiles.of(folder, stem))
        for draft, final in zip(astuple(drafts), finals, strict=True):
            draft.replace(final)
    return found


def _write(
    files: OutputFiles,
    bands: Iterable[NDArray[np.float32]],
    *,
    grid: WindowGrid,
    scheme: InstanceScheme,
    class_names: list[str],
    spacing_um: Spacing,
    grids: Resampling | None,
) -> SegmentedObjects:
    same = UnionFind()
    native = grid.size if grids is None else grids.native
    collector = ObjectCollector(same)
    with (
        TiledWriter(files.probability, native, np.uint8, spacing_um=spacing_um) as probability,
        LabelSpool(files.labels.parent) as spool,
        files.table.open("w", encoding="utf-8", newline="") as stream,
    ):
        rows = ObjectRows(stream, class_names, spacing_um)

        def finished() -> Iterator[FinishedObjects]:
            decoded = decode_bands(bands, scheme, height=grid.size[0], halo=grid.halo, same=same)
            for band in native_bands(decoded, grids):
                probability.write(_as_bytes(band.values[0]))
                spool.append(band)
                yield from collector.add(band)

        write_features(files.outlines, _features(finished(), rows, class_names, spacing_um))
        rows.write_large(collector.large)
        labels = (collector.numbers.final_labels(band) for band in spool)
        dtype = label_type(len(collector.numbers))
        write_tiled(files.labels, native, dtype, labels, spacing_um=spacing_um)
    return SegmentedObjects(len(collector.numbers), len(collector.large))


def _as_bytes(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = (probability * np.float32(255.0) + 0.5).astype(np.uint8)
    return rounded


def _features(
    finished: Iterable[FinishedObjects],
    rows: ObjectRows,
    class_names: list[str],
    spacing_um: Spacing,
) -> Iterator[Feature]:
    """Write the table's rows of finished objects and give their outlines."""
    for objects in finished:
        rows.write(objects)
        if len(class_names) == 1:
            yield from object_features(
                objects.labels, class_names[0], offset_yx=objects.offset_yx, spacing_um=spacing_um
            )
            continue
        classes = np.append(-1, class_of(objects.means))
        numbers = np.append(0, np.unique(objects.labels[objects.labels > 0]))
        of_pixel = classes[np.searchsorted(numbers, objects.labels)]
        for index in np.unique(classes[1:]):
            labels = np.where(of_pixel == index, objects.labels, 0)
            yield from object_features(
                labels, class_names[index], offset_yx=objects.offset_yx, spacing_um=spacing_um
            )
