"""DeepLIIF: IHC and immunofluorescence of one section (Ghahremani, Nat Mach Intell 2022).

Layout (Zenodo 4751737): ``DeepLIIF_Training_Set``, ``DeepLIIF_Validation_Set`` and
``DeepLIIF_Testing_Set`` with strips ``<tissue>_<x>_<y>_<row>_<column>[_<variant>].png``; in the
sample set of the tool ``train``, ``val`` and ``test``. A strip is six square tiles side by side:
IHC, haematoxylin, DAPI, Lap2, marker and segmentation. In the last, red is a positive nucleus, blue
a negative one, and green the boundary around each.
"""

from __future__ import annotations

import filecmp
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from data_modules.adapters.deepliif_strip import (
    SIZE_THRESHOLD,
    Field,
    InputStripError,
    read_field,
)
from data_modules.adapters.overrides import Overrides, require_folder
from data_modules.adapters.staging import finish, staging
from data_modules.manifest import ManifestError, Record, Split
from lotus.imaging.file_names import image_stem, images_in
from lotus.imaging.raster import write_image, write_label_map
from lotus.masks import USUAL_VALUES, MaskKind

FOLDERS: dict[str, Split] = {
    "DeepLIIF_Training_Set": "train",
    "DeepLIIF_Validation_Set": "val",
    "DeepLIIF_Testing_Set": "test",
}
SAMPLE_FOLDERS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
"""How the sample set that comes with the tool calls them."""
LAYOUT = (
    f"{', '.join(FOLDERS)} (or {', '.join(SAMPLE_FOLDERS)}) with strips of six square tiles side "
    "by side"
)
REGION = re.compile(r"(?P<region>(?P<tissue>[A-Za-z]+)_\d+_\d+)_\d+_\d+(?:_|$)")
MODALITIES = ("ihc", "fluorescence")
MANIFESTS: dict[MaskKind, str] = {"instances": "manifest.csv", "semantic": "manifest_semantic.csv"}

_log = logging.getLogger(__name__)


def prepare(
    root: Path,
    output: Path,
    overrides: Overrides | None = None,
    size_threshold: int = SIZE_THRESHOLD,
) -> Path:
    """Cut all strips and write two manifests of the same images.

    ``manifest.csv`` has label maps of nuclei, ``manifest_semantic.csv`` class maps. The patient is
    the region that a strip was cut from, because the release names no patients; strips of other
    names are patients of their own. The folder is the split, except for patients whose strips lie
    in several folders: no patient is ever divided, so those are left to be drawn. The group is the
    tissue.

    Args:
        root: Folder with the three folders of the release.
        output: Folder for the manifests, images and masks.
        overrides: Values that replace those found; modality and meaning of masks are fixed here.
        size_threshold: Nuclei have more pixels than this.

    Returns:
        Path of ``manifest.csv``.

    Raises:
        FileNotFoundError: If a folder is missing or there is no strip.
        ManifestError: With every strip that cannot be used; nothing is written then.
        ValueError: If overrides name a modality or what masks mean.
    """
    root, output = require_folder(Path(root), LAYOUT), Path(output)
    overrides = overrides or Overrides()
    is_said = overrides.mask_kind is not None or overrides.mask_values != USUAL_VALUES
    if overrides.modality is not None or is_said:
        raise ValueError(
            f"the modalities are {' and '.join(MODALITIES)}, and each kind of mask has a manifest "
            f"of its own ({', '.join(MANIFESTS.values())}): leave out --modality, --mask-kind "
            "and --mask-values"
        )
    folders = FOLDERS if any((root / name).is_dir() for name in FOLDERS) else SAMPLE_FOLDERS
    strips = [
        (strip, split)
        for folder, split in folders.items()
        for strip in images_in(require_folder(root / folder, LAYOUT))
    ]
    with staging(output) as staged:
        fields = _undivided(_convert(strips, root, staged.folder, overrides, size_threshold))
        manifests = {
            name: _records(fields, kind, staged.folder) for kind, name in MANIFESTS.items()
        }
        return finish(manifests, root, staged, Overrides(), LAYOUT)


def _convert(
    strips: Sequence[tuple[Path, Split]],
    root: Path,
    folder: Path,
    overrides: Overrides,
    size_threshold: int,
) -> list[Record]:
    """Write images and masks of all strips; one record per strip, whose image is the strip."""
    records: list[Record] = []
    problems: list[str] = []
    inputs: list[str] = []
    first: dict[str, Path] = {}
    for path, split in tqdm(strips, "cutting strips", delay=2.0, leave=False, disable=None):
        name = path.relative_to(root).as_posix()
        other = first.setdefault(image_stem(path), path)
        if other == path:
            try:
                _write(read_field(path, size_threshold), image_stem(path), folder)
            except InputStripError:
                inputs.append(name)
                continue
            except (ValueError, OSError) as error:
                problems.append(f"{name}: {error}")
                continue
        elif not filecmp.cmp(other, path, shallow=False):
            problems.append(f"{name}: found the name in {other.parent.name} too, expected it once")
            continue
        records.append(overrides.apply(_record(path, split), root))
    if problems:
        raise ManifestError(root, problems)
    if inputs:
        listed = ", ".join(inputs)
        _log.warning("%d strips hold one image six times and are left out: %s", len(inputs), listed)
    return records


def _records(fields: Sequence[Record], kind: MaskKind, folder: Path) -> list[Record]:
    """Both modalities of all fields with one kind of mask."""
    return [
        replace(
            field,
            image=folder / modality / f"{field.name}.png",
            mask=_mask_path(folder, field.name, kind),
            mask_kind=kind,
            modality=modality,
        )
        for modality in MODALITIES
        for field in fields
    ]


def _record(strip: Path, split: Split) -> Record:
    found = REGION.match(image_stem(strip))
    patient, group = (
        (found["region"], found["tissue"].lower()) if found else (image_stem(strip), "unknown")
    )
    return Record(strip, None, "instances", "strip", patient, group, None, split=split)


def _write(field: Field, name: str, output: Path) -> None:
    """Write images and masks of one field."""
    for modality, image in field.images.items():
        write_image(output / modality / f"{name}.png", image)
    write_label_map(_mask_path(output, name, "instances"), field.instances)
    write_label_map(_mask_path(output, name, "semantic"), field.classes)


def _mask_path(output: Path, name: str, kind: MaskKind) -> Path:
    return output / kind / f"{name}.tif"


def _undivided(strips: Sequence[Record]) -> list[Record]:
    """The records without the splits of patients that several folders share."""
    splits: dict[str, set[str | None]] = {}
    for strip in strips:
        splits.setdefault(strip.patient, set()).add(strip.split)
    divided = {patient for patient, found in splits.items() if len(found) > 1}
    if divided:
        _log.warning(
            "%d of %d patients have strips in several folders; their split is drawn anew, so that "
            "none is both learnt from and tested on (--patient-pattern '[^/]+$' makes every strip "
            "a patient of its own and keeps the folders)",
            len(divided),
            len(splits),
        )
    # The same strip in several folders is one field, and its patient has no split.
    distinct = {strip.name: strip for strip in strips}.values()
    unnamed = sum(REGION.match(strip.name) is None for strip in distinct)
    if unnamed:
        _log.warning("%d strips name no region: each is a patient of its own", unnamed)
    return [replace(strip, split=None) if strip.patient in divided else strip for strip in distinct]
