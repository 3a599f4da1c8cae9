"""Names of image files: which suffixes they end in, what is left without them; what changed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".png", ".jpg", ".jpeg", ".bmp")
"""What ``read_image`` reads; ``.ome.tif`` ends in ``.tif``."""
SLIDE_SUFFIXES = (*IMAGE_SUFFIXES, ".svs")
"""What ``Slide`` opens."""
ZARR_SUFFIX = ".zarr"
"""Of a folder in the format OME-Zarr, ``.ome.zarr``."""
LABELS_ENDING = "_labels"
PROBABILITY_ENDING = "_probability"
"""What `lotus segment` adds to the name of an image for its label map and its probabilities."""

_OME = ".ome"
_ZARR_METADATA = ("zarr.json", ".zgroup")


def image_stem(path: Path) -> str:
    """Name of an image file without its suffix, of ``.ome.tif`` and ``.ome.zarr`` without both.

    Args:
        path: The file; it need not exist.

    Returns:
        The name that all files of one image share: ``a`` for ``a.png``, ``a.OME.tif``, ``a.svs``.
        It is in Unicode's composed form, since macOS names files in the other one.
    """
    is_ome = path.suffix.lower() in (*TIFF_SUFFIXES, ZARR_SUFFIX) and path.stem.lower().endswith(
        _OME
    )
    stem = path.stem[: -len(_OME)] if is_ome else path.stem
    return unicodedata.normalize("NFC", stem)


def is_zarr(path: Path) -> bool:
    """Whether a folder holds the metadata of a Zarr group, of version 3 or 2.

    Args:
        path: The folder; there may be none.
    """
    return any((path / name).is_file() for name in _ZARR_METADATA)


def images_in(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Image files that lie in a folder, not in folders inside, sorted by name.

    Files whose name begins with a dot are left out: they are hidden or still being written.

    Args:
        folder: A folder; there may be none.
        suffixes: Which names are those of images, in lower case; the case of a file's is ignored.

    Returns:
        The files; none if there is no such folder.
    """
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def last_changes(path: Path) -> list[list[object]]:
    """What tells a file, or the files of a folder, from what they were before they were changed.

    Args:
        path: A file or folder that is there.

    Returns:
        Name, size in bytes and time of the last change in ns of each file, as plain data.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(file, file.stat()) for file in files]
    return [[file.name, stat.st_size, stat.st_mtime_ns] for file, stat in stats]
