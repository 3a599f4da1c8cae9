"""Phantom data sets on disk: images, label maps, truth, manifest and contact sheet."""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray
from tqdm import tqdm

from data_modules.manifest import Record, read_manifest, write_manifest
from data_modules.phantoms.anatomy import GROUPS, BoneProperties, Patient, draw_patient
from data_modules.phantoms.contact_sheet import write_contact_sheet
from data_modules.phantoms.image import PhantomImage
from lotus.atomic import atomic_path
from lotus.imaging.raster import pixel_size_fields

Simulation = Callable[[Patient, np.random.Generator], PhantomImage]


@dataclass(frozen=True)
class Cohort:
    """Which phantoms to make.

    Attributes:
        patients: Number of patients, at least 1; groups take turns.
        slices: Images per patient, at least 1.
        seed: Seed of everything, not negative.
        labelled_slices: Only the first so many images of a patient get their label map into the
            manifest, at least 1; None: all. All label maps are written.
        groups: Bone of each group.
    """

    patients: int = 12
    slices: int = 4
    seed: int = 0
    labelled_slices: int | None = None
    groups: Mapping[str, BoneProperties] = field(default_factory=lambda: GROUPS)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: With the value found and what would be right.
        """
        least_of = {"patients": 1, "slices": 1, "seed": 0, "labelled_slices": 1}
        for name, least in least_of.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} {value}: take a whole number of at least {least}")


def write_phantoms(
    modality: str, suffix: str, simulate: Simulation, cohort: Cohort, output: Path
) -> list[Record]:
    """Write the phantoms of one modality and enter them into the data set's manifest.

    Files: ``<modality>/images/*.ome.tif``, ``<modality>/labels/*.tif``, ``<modality>/truth.csv``,
    ``manifest.csv`` and ``contact_sheet.png``. Rows of other modalities stay in the manifest; those
    of this modality, and their files, are replaced. Every file appears whole or not at all, and the
    manifest names the new images only once all of them are there.

    Args:
        modality: Name in the manifest and of the folder.
        suffix: End of the file names, which tells modalities apart.
        simulate: Makes one image of a patient.
        cohort: How many patients and slices, and the seed.
        output: Folder of the data set.

    Returns:
        All records of the manifest.
    """
    folder = Path(output) / modality
    manifest = Path(output) / "manifest.csv"
    others = forget(manifest, modality)
    records, truth = [], []
    code = zlib.crc32(modality.encode())
    patients = [
        draw_patient(number, seed=cohort.seed, groups=cohort.groups)
        for number in range(cohort.patients)
    ]
    jobs = [(number, part) for number in range(cohort.patients) for part in range(cohort.slices)]
    for number, part in tqdm(jobs, desc=modality, unit="image", disable=None):
        patient = patients[number]
        rng = np.random.default_rng([cohort.seed, number, part, code])
        phantom = simulate(patient, rng)
        name = f"{patient.name}_s{part}_{suffix}"
        record = _write_files(folder, name, phantom, patient)
        labelled = cohort.labelled_slices is None or part < cohort.labelled_slices
        records.append(record if labelled else replace(record, mask=None))
        row = {"image": name, "patient": patient.name, "group": patient.group, "slice": part}
        truth.append(row | phantom.truth)
    with atomic_path(folder / "truth.csv") as temporary:
        pd.DataFrame(truth).to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    merged = sorted(others + records, key=lambda record: (record.modality, record.image))
    write_manifest(manifest, merged)
    write_contact_sheet(Path(output) / "contact_sheet.png", merged)
    return merged


def _write_files(folder: Path, name: str, phantom: PhantomImage, patient: Patient) -> Record:
    """Write image and label map of one phantom."""
    image = folder / "images" / f"{name}.ome.tif"
    labels = folder / "labels" / f"{name}.tif"
    spacing = (phantom.pixel_size_um, phantom.pixel_size_um)
    _write_tiff(image, phantom.image, spacing)
    _write_tiff(labels, phantom.labels, spacing)
    return Record(
        image=image.resolve(),
        mask=labels.resolve(),
        mask_kind=phantom.mask_kind,
        mask_values=phantom.mask_values,
        modality=folder.name,
        patient=patient.name,
        group=patient.group,
        pixel_size_um=phantom.pixel_size_um,
    )


def _write_tiff(path: Path, array: NDArray[Any], spacing_um: tuple[float, float]) -> None:
    """Write an OME-TIFF whose identifier follows from its pixels.

    The default identifier holds the time, so that the same seed would not give the same bytes.
    """
    fields = pixel_size_fields("YX" if array.ndim == 2 else "YXS", spacing_um)
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    fields["metadata"]["UUID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, digest))
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            photometric="minisblack" if array.ndim == 2 else "rgb",
            compression="zlib",
            ome=True,
            **fields,
        )


def forget(manifest: Path, modality: str, kept: Container[str] = ()) -> list[Record]:
    """Take a modality out of an existing manifest, with its files.

    Were the rows left in while their files are replaced, an interrupted run would leave a manifest
    of old and new images.

    Args:
        manifest: Of a folder of phantoms; it may be missing.
        modality: Which one.
        kept: Names of images whose files stay.

    Returns:
        The records that remain.
    """
    if not manifest.is_file():
        return []
    records = read_manifest(manifest, check_files=False)
    others = [record for record in records if record.modality != modality]
    if others:
        write_manifest(manifest, others)
    else:
        manifest.unlink()
    folder = (manifest.parent / modality).resolve()
    for record in records:
        if record.modality == modality and record.name not in kept:
            # Written for all images, though the manifest may name it for some alone.
            labels = folder / "labels" / f"{record.name}.tif"
            for file in (record.image, record.mask, labels):
                if file is not None and file.is_relative_to(folder):
                    file.unlink(missing_ok=True)
    return others
