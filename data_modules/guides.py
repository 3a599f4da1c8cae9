"""What a network drew on slices, as a guide for another: made once per slice, cut when read."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_modules.patch_cache import file_hash
from lotus.atomic import atomic_path
from lotus.imaging.raster import read_image

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
"""From an image (C, Y, X) with the values of its file to what to look at, (Y, X) in [0, 1]."""


class GuideStore:
    """Keeps maps (Y, X) under the hash of who drew them and of the image's bytes.

    Args:
        folder: Where maps are kept; None keeps them in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._maps: dict[str, NDArray[np.float32]] = {}

    def add(self, key: str, predict: Predict, image: Path) -> str:
        """Draw the map of an image unless that was done before.

        Args:
            key: Says which network it is and how it is used, such as the hash of its checkpoint.
            predict: Draws the map.
            image: The file.

        Returns:
            The name for :meth:`load`.

        Raises:
            ValueError: The map has another size than the image, or leaves [0, 1].
        """
        name = hashlib.sha256(key.encode() + file_hash(image)).hexdigest()
        if self._folder is None:
            if name not in self._maps:
                self._maps[name] = _drawn(image, predict)
        elif not (path := _file(self._folder, name)).is_file():
            guide = _drawn(image, predict)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, guide)
        return name

    def load(self, name: str) -> NDArray[np.float32]:
        """The map (Y, X) of a name; a memory map where it is kept on disk."""
        if self._folder is None:
            return self._maps[name]
        stored: NDArray[np.float32] = np.load(_file(self._folder, name), mmap_mode="r")
        return stored


def _file(folder: Path, name: str) -> Path:
    return folder / f"guide-{name}.npy"


def _drawn(image: Path, predict: Predict) -> NDArray[np.float32]:
    channels = np.moveaxis(np.atleast_3d(read_image(image).array), -1, 0)
    guide = np.asarray(predict(np.ascontiguousarray(channels)), np.float32)
    if guide.shape != channels.shape[1:]:
        raise ValueError(
            f"{image}: its guide has the shape {guide.shape}; expected {channels.shape[1:]}"
        )
    if not (guide.min() >= 0.0 and guide.max() <= 1.0):
        raise ValueError(
            f"{image}: its guide has values from {guide.min():g} to {guide.max():g}; "
            "expected [0, 1]"
        )
    return guide
