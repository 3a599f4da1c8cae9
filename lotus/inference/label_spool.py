"""Label bands on disk until the final numbers of their objects are known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import imagecodecs
import numpy as np

from lotus.windows import LabelBand


class LabelSpool:
    """Compressed label bands in an unnamed file, which vanishes however the process ends.

    The values of the bands are not kept. Used in a ``with`` statement.

    Args:
        folder: Where the file lies; the disk of the output has the room that it needs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bands: list[tuple[LabelBand, int]] = []

    def __enter__(self) -> LabelSpool:
        """Open the file."""
        self._stream = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, which removes it."""
        self._stream.close()

    def append(self, band: LabelBand) -> None:
        """Store one band."""
        data = imagecodecs.zstd_encode(band.labels.tobytes(), level=1)
        self._stream.write(data)
        stub = replace(band, labels=band.labels[:0].copy(), values=band.values[:, :0].copy())
        self._bands.append((stub, len(data)))

    def __iter__(self) -> Iterator[LabelBand]:
        """Give the bands back in the order in which they came."""
        self._stream.seek(0)
        for band, size in self._bands:
            data = imagecodecs.zstd_decode(self._stream.read(size))
            labels = np.frombuffer(data, np.int32).reshape(-1, band.labels.shape[1])
            yield replace(band, labels=labels)
