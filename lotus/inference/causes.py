"""Lines about many images, of which each cause is said once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MOST_NAMES = 10


@dataclass
class Causes:
    """What was said of images, by what it is apart from their names.

    Attributes:
        said: Of each cause the first line, and the names of all images that it holds for.
    """

    said: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def add(self, image: Path, line: str) -> bool:
        """Take a line about an image.

        Args:
            image: The file, whose name may be in the line; all are of one folder.
            line: What is said of it.

        Returns:
            Whether nothing like it was said of another image before.
        """
        cause = line.replace(image.name, "")
        names = self.said.setdefault(cause, (line, []))[1]
        names.append(image.name)
        return len(names) == 1

    def count(self) -> int:
        """How often something was said."""
        return sum(len(names) for _, names in self.said.values())

    def summary(self, least: int = 1) -> list[str]:
        """The first line of each cause, with the names of the other images.

        Args:
            least: Causes of fewer images are left out.
        """
        return [
            line + _others(names[1:]) for line, names in self.said.values() if len(names) >= least
        ]


def _others(names: list[str]) -> str:
    if not names:
        return ""
    left = len(names) - MOST_NAMES
    more = f" and {left} more" if left > 0 else ""
    return f" (so it is with {', '.join(names[:MOST_NAMES])}{more})"
