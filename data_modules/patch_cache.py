"""Preprocessed images, on disk or in memory, found by what they were made from.

The key of an entry is the SHA-256 over the bytes of image and mask, the preprocessing with all
its settings, the size that is resampled to, the source code of the preprocessing, of this module
and of whatever of the project they call, and the version of the layout below. Any change gives
another key, so an outdated entry is never found; deleting the folder is always safe.

An entry is one memory-mapped file, so that a crop reads its own pages and nothing else; cutting
images into tiles would gain nothing over that. Images are kept as float32: float16 would halve
the disk space, but the network would then see other values (by up to 2.4e-4) in training than in
``lotus segment``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import sys
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_modules.manifest import Record
from data_modules.source_code import source_digest
from lotus.atomic import atomic_path
from lotus.imaging.mask_files import read_mask
from lotus.imaging.raster import check_usable, read_image
from lotus.masks import MaskFacts, classes_and_objects, mask_facts
from lotus.transforms.preprocessing import Preprocessing
from lotus.transforms.resampling import Resampling

LAYOUT_VERSION = 2
ALIGNMENT = 64
_ARRAYS = ("image", "mask", "instances", "ignored")
OPEN_ENTRIES = 128  # memory maps kept open; some systems allow a process 256 files


@dataclass(frozen=True)
class PreparedImage:
    """One image as a data set reads it.

    Attributes:
        image: float32 ``(C, Y, X)`` in [0, 1], channels as in the file.
        mask: Class indices ``(Y, X)``, smallest unsigned type; None without annotation.
        instances: Label map ``(Y, X)``, smallest unsigned type; None without annotation.
        ignored: Bool ``(Y, X)``, where the annotation says nothing; None where it is whole.
        facts: What the mask looks like; None without annotation.
        classes: Largest class index in the mask, 0 without annotation.
        spacing_um: Pixel size ``(Y, X)`` in µm found in the file; None where it has none.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.unsignedinteger[Any]] | None
    instances: NDArray[np.unsignedinteger[Any]] | None
    ignored: NDArray[np.bool_] | None
    facts: MaskFacts | None
    classes: int
    spacing_um: tuple[float, float] | None


class PatchCache:
    """Prepares each image once.

    Any number of processes may fill and read one folder: entries appear under their final name
    only when complete, and two processes that prepare the same image write the same bytes.

    Args:
        preprocessing: Applied to every image.
        folder: Where entries are kept; None keeps them in memory.
    """

    def __init__(self, preprocessing: Preprocessing, folder: Path | None) -> None:
        self.preprocessing = preprocessing
        self.folder = None if folder is None else Path(folder)
        self._open: OrderedDict[str, PreparedImage] = OrderedDict()

    @cached_property
    def _settings(self) -> bytes:
        """All that the key of an entry depends on besides its files."""
        reading = source_digest([sys.modules[__name__]])
        return json.dumps([LAYOUT_VERSION, reading, _fingerprint(self.preprocessing)]).encode()

    def add(self, record: Record, grids: Resampling | None = None) -> str:
        """Prepare the image of a record unless that was done before.

        Args:
            record: A row of the manifest.
            grids: How it is resampled once it is preprocessed; None leaves it as it is.

        Returns:
            The key for :meth:`load`.

        Raises:
            ValueError: If image or mask cannot be used; the message names the file.
        """
        key = self._key(record, grids)
        if self.folder is None:
            if key not in self._open:
                self._open[key] = _prepare(record, self.preprocessing, grids)
        elif not (self.folder / key).is_file():
            _write_entry(self.folder / key, _prepare(record, self.preprocessing, grids))
        return key

    def load(self, key: str) -> PreparedImage:
        """The prepared image of a key; arrays are memory maps when the cache is on disk."""
        if key in self._open:
            self._open.move_to_end(key)
        else:
            if self.folder is None:
                raise KeyError(key)
            self._open[key] = _read_entry(self.folder / key)
            if len(self._open) > OPEN_ENTRIES:
                self._open.popitem(last=False)
        return self._open[key]

    def _key(self, record: Record, grids: Resampling | None) -> str:
        digest = hashlib.sha256(self._settings)
        digest.update(f"{record.mask_kind} {record.mask_values} {grids or ''}".encode())
        for path in (record.image, record.mask):
            digest.update(b"none" if path is None else file_hash(path))
        return digest.hexdigest()


def file_hash(path: Path) -> bytes:
    """SHA-256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _fingerprint(setting: object) -> object:
    """Class, source code and attributes of a preprocessing (or of a value inside one)."""
    if isinstance(setting, str | int | float | bool | None):
        return setting
    if isinstance(setting, list | tuple):
        return [_fingerprint(value) for value in setting]
    if isinstance(setting, dict):
        return {str(key): _fingerprint(value) for key, value in sorted(setting.items())}
    if not isinstance(setting, Preprocessing):
        return repr(setting)
    modules = [inspect.getmodule(kind) for kind in type(setting).__mro__]
    return {
        "class_path": f"{type(setting).__module__}.{type(setting).__qualname__}",
        "attributes": _fingerprint(vars(setting)),
        "source": source_digest(module for module in modules if module is not None),
    }


def _prepare(
    record: Record, preprocessing: Preprocessing, grids: Resampling | None
) -> PreparedImage:
    """Read, check, preprocess and resample one image and its mask."""
    prepared = _as_it_is(record, preprocessing)
    if grids is None:
        return prepared
    return replace(
        prepared,
        image=grids.image(prepared.image),
        mask=None if prepared.mask is None else grids.labels(prepared.mask),
        instances=None if prepared.instances is None else grids.labels(prepared.instances),
        ignored=None if prepared.ignored is None else grids.labels(prepared.ignored),
    )


def _as_it_is(record: Record, preprocessing: Preprocessing) -> PreparedImage:
    raster = read_image(record.image)
    check_usable(raster.array, record.image)
    channels = np.moveaxis(np.atleast_3d(raster.array), -1, 0)
    try:
        image = np.ascontiguousarray(preprocessing(channels), dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{record.image}: {error}") from error
    if record.mask is None:
        return PreparedImage(image, None, None, None, None, 0, raster.spacing_um)
    labels = read_mask(record.mask, record.mask_values)
    shape = labels.values.shape
    if shape != image.shape[1:]:
        raise ValueError(
            f"{record.mask}: mask is {shape[0]} x {shape[1]}; "
            f"expected {image.shape[1]} x {image.shape[2]} as {record.image.name}"
        )
    classes, objects = classes_and_objects(labels.values, record.mask_kind)
    return PreparedImage(
        image,
        _smallest(classes),
        _smallest(_numbered(objects)),
        labels.ignored,
        mask_facts(labels),
        int(classes.max()),
        raster.spacing_um,
    )


def _numbered(labels: NDArray[Any]) -> NDArray[Any]:
    """The same objects; numbered from 1 where their labels do not fit the int32 of a sample."""
    if labels.max() <= np.iinfo(np.int32).max:
        return labels
    values, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers.reshape(labels.shape) + (values[0] > 0))


def _smallest(labels: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
    """The same labels in the smallest unsigned type that holds them."""
    return labels.astype(np.min_scalar_type(int(labels.max())))


def _write_entry(path: Path, prepared: PreparedImage) -> None:
    """Write one file: a line of JSON, then the arrays, each aligned for its memory map."""
    arrays = {name: getattr(prepared, name) for name in _ARRAYS}
    present = {name: array for name, array in arrays.items() if array is not None}
    layout = {name: (array.dtype.str, array.shape) for name, array in present.items()}
    header = json.dumps(
        {
            "arrays": layout,
            "facts": None if prepared.facts is None else asdict(prepared.facts),
            "classes": prepared.classes,
            "spacing_um": prepared.spacing_um,
        }
    ).encode()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header + b" " * (-(len(header) + 1) % ALIGNMENT) + b"\n")
        for array in present.values():
            file.write(array.tobytes() + bytes(-array.nbytes % ALIGNMENT))


def _read_entry(path: Path) -> PreparedImage:
    """Map a file of :func:`_write_entry`."""
    with path.open("rb") as file:
        header = file.readline()
    known = json.loads(header)
    contents = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    arrays: dict[str, NDArray[Any]] = {}
    start = len(header)
    for name, (kind, shape) in known["arrays"].items():
        size = np.dtype(kind).itemsize * math.prod(shape)
        arrays[name] = contents[start : start + size].view(kind).reshape(shape)
        start += size + -size % ALIGNMENT
    spacing, facts = known["spacing_um"], known["facts"]
    return PreparedImage(
        image=arrays["image"],
        mask=arrays.get("mask"),
        instances=arrays.get("instances"),
        ignored=arrays.get("ignored"),
        facts=None if facts is None else MaskFacts(**facts | {"values": tuple(facts["values"])}),
        classes=int(known["classes"]),
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
    )
