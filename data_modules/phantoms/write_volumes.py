"""Zernike nanoCT phantoms on disk: volumes, classes, truth, manifest and a picture of each."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.manifest import Record, write_manifest
from data_modules.phantoms.spine_voxels import LCN
from data_modules.phantoms.write import forget
from data_modules.phantoms.zernike_nanoct import ZernikeConfig, scan_specimen
from data_modules.phantoms.zernike_preview import Preview, write_preview
from data_modules.phantoms.zernike_scan import Scan, ScanFiles, scan_bytes, scan_steps
from data_modules.phantoms.zernike_truth import (
    Development,
    class_slice,
    develop,
    grey_slice,
    lacuna_rows,
    true_measures,
)
from lotus.atomic import atomic_path
from lotus.imaging import volume_writer

MODALITY = "zernike_nanoct"
# What a stored voxel takes at most: two bytes of grey value, one of its class.
_STORED_BYTES = 3


@dataclass(frozen=True)
class Specimens:
    """Which volumes to make.

    Attributes:
        config: Beamline and shape.
        count: Number of specimens, at least 1; each is a volume and a patient of its own.
        seed: Seed of everything, not negative.
    """

    config: ZernikeConfig
    count: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With the value found and what would be right.
        """
        for name, value, least in (("patients", self.count, 1), ("seed", self.seed, 0)):
            if value < least:
                raise ValueError(f"{name} {value}: take a whole number of at least {least}")

    @property
    def names(self) -> list[str]:
        """Names of the volumes, which are those of the patients."""
        return [f"{self.config.beamline}-{number + 1:02d}" for number in range(self.count)]


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
        ValueError: The disk has no room.
    """
    output = Path(output)
    volumes = [
        _Volume(output / MODALITY, name, specimens, number)
        for number, name in enumerate(specimens.names)
    ]
    unfinished = [volume for volume in volumes if not volume.is_finished]
    _check_disk(output, specimens.config, len(unfinished))
    others = forget(output / "manifest.csv", MODALITY, kept=specimens.names)
    for truth in (output / MODALITY / "truth").glob("*.json"):
        if truth.stem not in specimens.names:
            _Volume(output / MODALITY, truth.stem, specimens, 0).remove()
    for volume in unfinished:
        volume.make(processes)
    _write_tables(output / MODALITY, volumes)
    records = [*others, *(volume.record for volume in volumes)]
    merged = sorted(records, key=lambda record: (record.modality, record.image))
    write_manifest(output / "manifest.csv", merged)
    return merged


@dataclass(frozen=True)
class _Volume:
    """One volume's files; its truth is written last and says that it is finished."""

    folder: Path
    name: str
    specimens: Specimens
    number: int

    @property
    def image(self) -> Path:
        return self.folder / "images" / f"{self.name}.ome.tif"

    @property
    def labels(self) -> Path:
        return self.folder / "labels" / f"{self.name}.tif"

    @property
    def truth(self) -> Path:
        return self.folder / "truth" / f"{self.name}.json"

    @property
    def preview(self) -> Path:
        return self.folder / "previews" / f"{self.name}.png"

    @property
    def files(self) -> tuple[Path, ...]:
        return self.truth, self.image, self.labels, self.preview

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that its bytes follow from."""
        config, seed = self.specimens.config, self.specimens.seed
        settings = {"beamline": asdict(config.microscope), "shape": config.shape, "seed": seed}
        return dict(json.loads(json.dumps(settings)))

    @property
    def is_finished(self) -> bool:
        is_whole = all(file.is_file() for file in self.files)
        return is_whole and self.read()["settings"] == self.settings

    @property
    def record(self) -> Record:
        voxel = self.specimens.config.voxel_um
        return Record(
            image=self.image.resolve(),
            mask=self.labels.resolve(),
            mask_kind="semantic",
            modality=MODALITY,
            patient=self.name,
            group="unknown",
            pixel_size_um=voxel,
            slice_spacing_um=voxel,
        )

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.truth.read_text(encoding="utf-8")))

    def remove(self) -> None:
        for file in self.files:
            file.unlink(missing_ok=True)

    def make(self, processes: int) -> None:
        """Scan the specimen and write all files."""
        config = self.specimens.config
        depth, _, size = config.shape
        seed = (self.specimens.seed, self.number, *config.beamline.encode())
        self.truth.unlink(missing_ok=True)
        hidden = self.folder / f".{self.name}"
        # What a run left that was killed.
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        try:
            with tqdm(total=scan_steps(depth, size) + depth, desc=self.name, disable=None) as bar:
                job, files, voxels = scan_specimen(config, seed, hidden, processes, bar.update)
                self._write(job, files, lacuna_rows(job, voxels), bar)
        finally:
            shutil.rmtree(hidden)

    def _write(
        self, job: Scan, files: ScanFiles, lacunae: list[dict[str, float]], bar: tqdm[Any]
    ) -> None:
        development = develop(job, files)
        counts = self._write_slices(job, files, development, bar)
        self._write_preview(job, files, development, int(counts[:, LCN].argmax()))
        truth = true_measures(job, counts.sum(axis=0), lacunae)
        content = {"settings": self.settings, "truth": truth, "lacunae": lacunae}
        with atomic_path(self.truth) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _write_slices(
        self, job: Scan, files: ScanFiles, development: Development, bar: tqdm[Any]
    ) -> NDArray[np.intp]:
        """Write grey values and classes; gives the voxels of each class in each slice, (Z, 4)."""
        shape = self.specimens.config.shape
        spacing = (job.beamline.pixel_size_um,) * 3
        counts = np.zeros((shape[0], 4), np.intp)
        with (
            volume_writer(self.image, shape, np.uint16, spacing) as write_grey,
            volume_writer(self.labels, shape, np.uint8, spacing) as write_classes,
        ):
            for number in range(shape[0]):
                classes = class_slice(job, files, number, development)
                counts[number] = np.bincount(classes.ravel(), minlength=4)
                write_grey(grey_slice(files, number, development))
                write_classes(classes)
                bar.update()
        return counts

    def _write_preview(
        self, job: Scan, files: ScanFiles, development: Development, number: int
    ) -> None:
        radiographs = files.open("projections")
        preview = Preview(
            name=self.name,
            voxel_um=job.beamline.pixel_size_um,
            grey=grey_slice(files, number, development),
            classes=class_slice(job, files, number, development),
            radiograph=np.array(radiographs[0]),
            opposite=np.array(radiographs[-1]),
        )
        write_preview(self.preview, preview)


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


def _write_tables(folder: Path, volumes: list[_Volume]) -> None:
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
