"""NuInsSeg: H&E nuclei of 31 human and mouse organs (Mahbod et al., Sci Data 2024).

Layout: ``<organ>/tissue images/<name>.png`` with ``<organ>/label masks modify/<name>.tif``, the
label maps in which the authors resolved overlaps and which they ask to be used. ``label masks``,
in which overlaps carry labels of their own, is used for organs that lack them.
"""

from __future__ import annotations

from pathlib import Path

from data_modules.adapters.overrides import Overrides, require_folder
from data_modules.adapters.staging import finish, staging
from data_modules.manifest import Record
from lotus.imaging.file_names import image_stem, images_in

LAYOUT = "<organ>/tissue images/*.png and <organ>/label masks modify/*.tif"
MASK_FOLDERS = ("label masks modify", "label masks")


def prepare(root: Path, output: Path, overrides: Overrides | None = None) -> Path:
    """Write a manifest of the data set.

    The patient is the organ: the images of an organ were cut from one slide.

    Args:
        root: The data set.
        output: Folder for the manifest.
        overrides: Values that replace those found.

    Returns:
        Path of the manifest.

    Raises:
        FileNotFoundError: If there is no image or an image has no mask.
    """
    root = require_folder(Path(root), LAYOUT)
    organs = sorted(path.parent for path in root.glob("*/tissue images"))
    records = [record for organ in organs for record in _organ(organ)]
    with staging(Path(output)) as staged:
        return finish({"manifest.csv": records}, root, staged, overrides or Overrides(), LAYOUT)


def _organ(organ: Path) -> list[Record]:
    folder = next((organ / name for name in MASK_FOLDERS if (organ / name).is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"{organ}: no folder '{MASK_FOLDERS[0]}' or '{MASK_FOLDERS[1]}'")
    masks = {image_stem(path): path for path in images_in(folder)}
    records = []
    for image in images_in(organ / "tissue images"):
        if image_stem(image) not in masks:
            raise FileNotFoundError(f"{image}: image without its mask; expected one in {folder}")
        mask = masks[image_stem(image)]
        records.append(Record(image, mask, "instances", "histology", organ.name, "unknown", None))
    return records
