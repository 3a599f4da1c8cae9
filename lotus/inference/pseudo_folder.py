"""The folder of pseudo-labels: its files, which of them are kept, and who changed them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lotus.atomic import atomic_path
from lotus.imaging import read_image, read_label_map, write_image, write_label_map
from lotus.inference.own_files import OwnFiles, digest_of_labels
from lotus.transforms.resampling import Spacing

DRAWN_BY = "drawn by"
"""Under this name it is noted what the labels were drawn by."""


class PseudoFolder:
    """Files of pseudo-labels, written only where their contents are new.

    Args:
        path: The folder; made when the first file is written.

    Raises:
        ValueError: It is a file.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; the output is a folder")
        self.path = path
        self.manifest = path / "manifest.csv"
        self.review = path / "review.csv"
        self.confidence = path / "confidence.csv"
        self.origin = path / "origin.json"
        self.own = OwnFiles(path / ".own.json")

    def label_of(self, name: str) -> Path:
        """The mask of an image."""
        return self.path / "labels" / f"{name}.tif"

    def probability_of(self, name: str) -> Path:
        """The probability of foreground in an image."""
        return self.path / "probability" / f"{name}.tif"

    def refuse_edited_label(self, name: str) -> None:
        """Refuse to replace a mask that a person has changed.

        Raises:
            ValueError: It was changed since it was written.
        """
        file = self.label_of(name)
        if file.is_file() and not self.own.holds(
            _key(file), digest_of_labels(read_label_map(file))
        ):
            raise ValueError(
                f"{file} was changed by hand and would be replaced: move it elsewhere, and name "
                f"it in {self.review.name} as the file of each patch that is corrected"
            )

    def edited_review(self, drawn_by: str) -> Path | None:
        """The folder's own review list, if a person has changed it.

        Args:
            drawn_by: What the labels are drawn by now.

        Raises:
            ValueError: It was changed, and what it speaks of was drawn by something else.
        """
        if not self.review.is_file():
            return None
        digest = hashlib.sha256(self.review.read_bytes()).hexdigest()
        if self.own.holds(self.review.name, digest):
            return None
        if not self.own.is_last(DRAWN_BY, drawn_by):
            raise ValueError(
                f"{self.review} was changed by hand, for labels that another checkpoint or other "
                "settings had drawn: give it with --review if it holds for the new ones too, or "
                "remove it"
            )
        return self.review

    def known_probability(
        self, name: str, key: str
    ) -> tuple[NDArray[np.float32], Spacing | None] | None:
        """The probability that was written before under the same key; None where there is none."""
        file, sign = self.probability_of(name), self._sign_of(name)
        if not file.is_file() or not sign.is_file() or sign.read_text(encoding="utf-8") != key:
            return None
        raster = read_image(file)
        return np.asarray(raster.array, np.float32), raster.spacing_um

    def keep_probability(
        self, name: str, key: str, probability: NDArray[np.float32], spacing_um: Spacing | None
    ) -> None:
        """Write the probability of an image, and then by what it may be known again."""
        self._sign_of(name).unlink(missing_ok=True)
        write_image(self.probability_of(name), probability, spacing_um)
        with atomic_path(self._sign_of(name)) as temporary:
            temporary.write_text(key, encoding="utf-8")

    def write_label(self, name: str, mask: NDArray[np.uint8], spacing_um: Spacing | None) -> None:
        """Write a mask, unless just that one is there."""
        file, digest = self.label_of(name), digest_of_labels(mask)
        if file.is_file() and self.own.is_last(_key(file), digest):
            return
        self.own.note(_key(file), digest)
        write_label_map(file, mask, spacing_um)

    def write_text(self, file: Path, text: str) -> None:
        """Write a table or a record, unless just that one is there."""
        content = text.encode()
        if file.is_file() and file.read_bytes() == content:
            return
        self.own.note(file.name, hashlib.sha256(content).hexdigest())
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)

    def _sign_of(self, name: str) -> Path:
        return self.probability_of(name).with_name(f".{name}.key")


def _key(label: Path) -> str:
    return f"{label.parent.name}/{label.name}"
