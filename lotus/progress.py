"""What long work on files has finished, kept in a hidden folder so that it goes on from there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lotus.atomic import atomic_path


@dataclass(frozen=True)
class Progress:
    """A file for each finished part, written last, by whichever process worked on it.

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

    def note(self, key: str, part: int, facts: Mapping[str, Any]) -> None:
        """Note that a part is written.

        Args:
            key: Of the file.
            part: Its number.
            facts: What is to be known of it, as plain data.
        """
        with atomic_path(self._note(key, part)) as temporary:
            temporary.write_text(json.dumps(facts), encoding="utf-8")

    def unfinished(self, key: str, parts: Iterable[int]) -> list[int]:
        """The parts of a file that are not written.

        Args:
            key: Of the file.
            parts: All of them.
        """
        return [part for part in parts if not self._note(key, part).is_file()]

    def facts(self, key: str, parts: Iterable[int]) -> list[dict[str, Any]]:
        """What was noted of the parts of a file.

        Args:
            key: Of the file.
            parts: All of them.
        """
        return [json.loads(self._note(key, part).read_text(encoding="utf-8")) for part in parts]

    def forget(self, key: str) -> None:
        """Begin a file anew.

        Args:
            key: Of the file.
        """
        shutil.rmtree(self.of_file(key))

    def discard_if_empty(self) -> None:
        """Leave nothing behind of a run that has not finished a single part."""
        if not any(self.folder.glob("*/*.json")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, key: str, part: int) -> Path:
        return self.of_file(key) / f"{part:06d}.json"
