"""Jobs of one command that needs no training, light to import."""

import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 500  # only against waiting for ever


@dataclass(frozen=True)
class Command:
    """A job of one command."""

    folder: Path
    arguments: tuple[str, ...] = ("--version",)
    is_finished: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    def commands(self) -> list[list[str]]:
        return [list(self.arguments)]

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def end(self) -> None:
        """Nothing is to be noted."""


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
