"""Zernike nanoCT phantoms on disk: volumes, classes, truth, manifest and a picture of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from data_modules.manifest import Record, write_manifest
from data_modules.phantoms.write import forget
from data_modules.phantoms.zernike_nanoct import ZernikeConfig
from data_modules.phantoms.zernike_scan import scan_bytes
from data_modules.phantoms.zernike_volume import MODALITY, Specimens, ZernikeVolume
from lotus.atomic import atomic_path, exclusively

# What a stored voxel takes at most: two bytes of grey value, one of its class.
_STORED_BYTES = 3


def write_volumes(specimens: Specimens, output: Path, processes: int) -> list[Record]:
    """Write the volumes and enter them into the data set's manifest.

    Files: ``zernike_nanoct/images/*.ome.tif``, ``labels/*.tif``, ``previews/*.png``,
    ``truth/*.json``, ``truth.csv`` and ``lacunae.csv`` in the same folder, and ``manifest.csv``.
    A volume that an earlier run with the same settings finished is not made again. Volumes of
    other settings are replaced, rows of other modalities stay.

    Args:
        specimens: What to make.
        output: Folder of the data set.
        processes: At most so many at a time; the files do not depend on it.

    Returns:
        All records of the manifest.

    Raises:
        ValueError: The disk has no room, or another process writes there.
    """
    output, folder = Path(output), Path(output) / MODALITY
    volumes = [
        ZernikeVolume(folder, name, specimens, number)
        for number, name in enumerate(specimens.names)
    ]
    _check_disk(output, specimens.config, sum(not volume.is_finished for volume in volumes))
    with exclusively(folder, folder):
        others = forget(output / "manifest.csv", MODALITY, kept=specimens.names)
        for truth in (folder / "truth").glob("*.json"):
            if truth.stem not in specimens.names:
                ZernikeVolume(folder, truth.stem, specimens, 0).remove()
        for volume in volumes:
            if not volume.is_finished:
                volume.make(processes)
        _write_tables(folder, volumes)
        records = others + [record for volume in volumes for record in volume.records]
        merged = sorted(records, key=lambda row: (row.modality, row.image, row.z_start or 0))
        write_manifest(output / "manifest.csv", merged)
    return merged


def _check_disk(output: Path, config: ZernikeConfig, volumes: int) -> None:
    """Refuse what does not fit, before the first minutes are spent."""
    depth, height, width = config.shape
    needed = volumes * _STORED_BYTES * depth * height * width
    needed += scan_bytes(depth, width) if volumes else 0
    folder = next(place for place in (output, *output.resolve().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"{output}: {volumes} volumes need {needed / 1e9:.1f} GB while they are made, and "
            f"{free / 1e9:.1f} GB are free; take fewer, or a smaller shape"
        )


def _write_tables(folder: Path, volumes: list[ZernikeVolume]) -> None:
    """Put the truth of all volumes into tables."""
    truth, lacunae = [], []
    for volume in volumes:
        content, beamline = volume.read(), volume.specimens.config.beamline
        named = {"image": volume.name, "patient": volume.name}
        truth.append(named | {"beamline": beamline} | content["truth"])
        lacunae += [named | row for row in content["lacunae"]]
    for name, rows in (("truth", truth), ("lacunae", lacunae)):
        with atomic_path(folder / f"{name}.csv") as temporary:
            table = pd.DataFrame(rows)
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
