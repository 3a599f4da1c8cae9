"""What an enhancement has finished, kept in a hidden folder so that it goes on from there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from lotus.atomic import atomic_path
from lotus.transforms.slice_facts import SliceFacts


@dataclass(frozen=True)
class Progress:
    """A file for each finished slice, written last, by whichever process enhanced it.

    Attributes:
        folder: Hidden folder; it is gone at the end.
    """

    folder: Path

    def begin(self, record: str) -> None:
        """Keep what is there if it was begun with the same record, else start anew.

        Args:
            record: Of the settings.
        """
        begun = self.folder / "begun.json"
        if begun.is_file() and begun.read_text(encoding="utf-8") == record:
            return
        # The folder itself stays: it is what keeps other processes out.
        for content in self.folder.glob("*"):
            shutil.rmtree(content) if content.is_dir() else content.unlink()
        with atomic_path(begun) as temporary:
            temporary.write_text(record, encoding="utf-8")

    def of_file(self, key: str) -> Path:
        """Folder of what is not finished of a file.

        Args:
            key: What tells the file, and its content, from others.
        """
        return self.folder / key

    def note(self, key: str, facts: SliceFacts) -> None:
        """Note that a slice is written.

        Args:
            key: Of the file.
            facts: Of the slice.
        """
        with atomic_path(self._slice(key, facts.slice)) as temporary:
            temporary.write_text(json.dumps(asdict(facts)), encoding="utf-8")

    def unfinished(self, key: str, slices: Iterable[int]) -> list[int]:
        """The slices of a file that are not written.

        Args:
            key: Of the file.
            slices: All of them.
        """
        return [index for index in slices if not self._slice(key, index).is_file()]

    def facts(self, key: str, slices: Iterable[int]) -> list[SliceFacts]:
        """What was noted of the slices of a file.

        Args:
            key: Of the file.
            slices: All of them.
        """
        texts = [self._slice(key, index).read_text(encoding="utf-8") for index in slices]
        return [SliceFacts(**json.loads(text)) for text in texts]

    def forget(self, key: str) -> None:
        """Begin a file anew.

        Args:
            key: Of the file.
        """
        shutil.rmtree(self.of_file(key))

    def discard_if_empty(self) -> None:
        """Leave nothing behind of a run that has not finished a single slice."""
        if not any(self.folder.glob("*/*.json")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _slice(self, key: str, index: int) -> Path:
        return self.of_file(key) / f"{index:06d}.json"
