"""Files that a command wrote itself, told from those that a person has changed since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import atomic_path


def digest_of_labels(labels: NDArray[Any]) -> str:
    """Digest of the values alone: programs write the same ones to other bytes.

    Args:
        labels: (Y, X) integers from 0.
    """
    head = f"{labels.shape}".encode()
    return hashlib.sha256(head + labels.astype(np.uint32).tobytes()).hexdigest()


class OwnFiles:
    """Remembers what a command has written, by digests of the contents.

    A digest is noted before its file is written, so that a command that is killed in between finds
    its own file again as its own, whether it is the old one or the new one.

    Args:
        path: Where it is remembered; made if it is missing.

    Raises:
        ValueError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[str, list[str]] = {}
        if path.is_file():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                self._digests = {str(name): [*map(str, own)] for name, own in content.items()}
            except (ValueError, AttributeError, TypeError) as error:
                raise ValueError(f"{path}: damaged ({error}); remove it") from error

    def holds(self, name: str, digest: str) -> bool:
        """Whether a file with this content was written under this name."""
        return digest in self._digests.get(name, ())

    def is_last(self, name: str, digest: str) -> bool:
        """Whether this content was the last that was noted under this name."""
        return self._digests.get(name, [""])[-1] == digest

    def note(self, name: str, digest: str) -> None:
        """Remember what is about to be written."""
        if not self.is_last(name, digest):
            self._digests.setdefault(name, []).append(digest)
            self._write()

    def settle(self) -> None:
        """Forget all contents but the last of each file, once all are written."""
        self._digests = {name: own[-1:] for name, own in self._digests.items()}
        self._write()

    def _write(self) -> None:
        with atomic_path(self._path) as temporary:
            temporary.write_text(json.dumps(self._digests, indent=2) + "\n", encoding="utf-8")
