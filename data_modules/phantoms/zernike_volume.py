"""One volume of the Zernike nanoCT phantom and its files."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.manifest import Record
from data_modules.phantoms.spine_voxels import LCN
from data_modules.phantoms.zernike_nanoct import ZernikeConfig, scan_specimen
from data_modules.phantoms.zernike_preview import Preview, write_preview
from data_modules.phantoms.zernike_scan import scan_steps
from data_modules.phantoms.zernike_truth import (
    Development,
    develop,
    lacuna_rows,
    true_measures,
)
from lotus.atomic import atomic_path
from lotus.imaging import volume_writer

MODALITY = "zernike_nanoct"


@dataclass(frozen=True)
class Specimens:
    """Which volumes to make.

    Attributes:
        config: Beamline and shape.
        count: Number of specimens, at least 1; each is a volume and a patient of its own.
        seed: Seed of everything, not negative.
        test_share: Share of each volume's slices, its last ones, that the manifest sets apart for
            tests, from 0 to below 1.
    """

    config: ZernikeConfig
    count: int = 1
    seed: int = 0
    test_share: float = 0.2

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With the value found and what would be right.
        """
        for name, value, least in (("patients", self.count, 1), ("seed", self.seed, 0)):
            if value < least:
                raise ValueError(f"{name} {value}: take a whole number of at least {least}")
        if not 0.0 <= self.test_share < 1.0:
            raise ValueError(f"test_share {self.test_share:g}: take a share from 0 to below 1")

    @property
    def names(self) -> list[str]:
        """Names of the volumes, which are those of the patients."""
        return [f"{self.config.beamline}-{number + 1:02d}" for number in range(self.count)]


@dataclass(frozen=True)
class ZernikeVolume:
    """A volume and its files.

    Attributes:
        folder: Of all volumes.
        name: Of the volume and its patient.
        specimens: Which it is one of.
        number: Of the specimen, from 0.
    """

    folder: Path
    name: str
    specimens: Specimens
    number: int

    @property
    def image(self) -> Path:
        """Grey values, uint16."""
        return self.folder / "images" / f"{self.name}.ome.tif"

    @property
    def labels(self) -> Path:
        """True classes, uint8."""
        return self.folder / "labels" / f"{self.name}.tif"

    @property
    def preview(self) -> Path:
        """A picture of it."""
        return self.folder / "previews" / f"{self.name}.png"

    @property
    def truth(self) -> Path:
        """True measures; it is written last and says that the volume is finished."""
        return self.folder / "truth" / f"{self.name}.json"

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return self.truth, self.image, self.labels, self.preview

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that its bytes follow from."""
        config, seed = self.specimens.config, self.specimens.seed
        settings = {"beamline": asdict(config.microscope), "shape": config.shape, "seed": seed}
        return dict(json.loads(json.dumps(settings)))

    @property
    def is_finished(self) -> bool:
        """Whether a run with the same settings has finished it."""
        is_whole = all(file.is_file() for file in self.files)
        return is_whole and self.read()["settings"] == self.settings

    @property
    def records(self) -> list[Record]:
        """The volume, or its slices to learn from and those to test on."""
        config = self.specimens.config
        whole = Record(
            image=self.image.resolve(),
            mask=self.labels.resolve(),
            mask_kind="semantic",
            modality=MODALITY,
            patient=self.name,
            group="unknown",
            pixel_size_um=config.voxel_um,
            slice_spacing_um=config.voxel_um,
        )
        depth = config.shape[0]
        first = depth - round(self.specimens.test_share * depth)
        if first == depth:
            return [whole]
        tested = replace(whole, z_start=first, z_stop=depth, split="test")
        return [replace(whole, z_start=0, z_stop=first), tested]

    def read(self) -> dict[str, Any]:
        """Settings, true measures and lacunae of a finished volume."""
        return dict(json.loads(self.truth.read_text(encoding="utf-8")))

    def remove(self) -> None:
        """Remove its files, the one first that says that it is finished."""
        for file in self.files:
            file.unlink(missing_ok=True)

    def make(self, processes: int) -> None:
        """Scan the specimen and write all files.

        Args:
            processes: At most so many; the files do not depend on it.
        """
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
                self._write(develop(job, files), lacuna_rows(job, voxels), bar)
        finally:
            shutil.rmtree(hidden)

    def _write(
        self, developed: Development, lacunae: list[dict[str, float]], bar: tqdm[Any]
    ) -> None:
        counts = self._write_slices(developed, bar)
        richest = int(counts[:, LCN].argmax())
        radiographs = developed.files.open("projections")
        preview = Preview(
            name=self.name,
            voxel_um=self.specimens.config.voxel_um,
            grey=developed.grey(richest),
            classes=developed.classes(richest),
            radiograph=np.array(radiographs[0]),
            opposite=np.array(radiographs[-1]),
        )
        write_preview(self.preview, preview)
        truth = true_measures(developed.job, counts.sum(axis=0), lacunae)
        content = {"settings": self.settings, "truth": truth, "lacunae": lacunae}
        with atomic_path(self.truth) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _write_slices(self, developed: Development, bar: tqdm[Any]) -> NDArray[np.intp]:
        """Write grey values and classes; gives the voxels of each class in each slice, (Z, 4)."""
        config = self.specimens.config
        spacing = (config.voxel_um,) * 3
        counts = np.zeros((config.shape[0], 4), np.intp)
        with (
            volume_writer(self.image, config.shape, np.uint16, spacing) as write_grey,
            volume_writer(self.labels, config.shape, np.uint8, spacing) as write_classes,
        ):
            for number in range(config.shape[0]):
                classes = developed.classes(number)
                counts[number] = np.bincount(classes.ravel(), minlength=4)
                write_grey(developed.grey(number))
                write_classes(classes)
                bar.update()
        return counts
