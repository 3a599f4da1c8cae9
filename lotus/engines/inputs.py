"""What a job was begun with, so that it is known whether the same would come out of it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from lotus.atomic import atomic_path


class Begun(TypedDict):
    """What a job was begun with, and whether it came to its end.

    Attributes:
        arguments: Of `lotus`.
        inputs: Fingerprint of each file or folder that an earlier job left for this one.
        edited: Fingerprint of each file or folder that a person may edit, at its end.
        finished: Whether all of its commands ended well.
    """

    arguments: list[str]
    inputs: dict[str, str]
    edited: dict[str, str]
    finished: bool


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, or of the names and contents of all files in a folder.

    Hidden files do not count.

    Args:
        path: The file or folder.

    Raises:
        FileNotFoundError: There is nothing at the path.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is not there, which an earlier stage should have left")
    whole = hashlib.sha256()
    for file_path in sorted(path.rglob("*")):
        name = file_path.relative_to(path)
        if file_path.is_file() and not any(part.startswith(".") for part in name.parts):
            whole.update(f"{name.as_posix()}\0{fingerprint(file_path)}\n".encode())
    return whole.hexdigest()


def fingerprints(paths: Iterable[Path]) -> dict[str, str]:
    """The fingerprint of each path, by the path as text."""
    return {str(path): fingerprint(path) for path in paths}


def read_begun(path: Path) -> Begun | None:
    """What :func:`write_begun` wrote; None where nothing was begun.

    Raises:
        ValueError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Begun(
            arguments=[str(argument) for argument in content["arguments"]],
            inputs={str(name): str(digest) for name, digest in content["inputs"].items()},
            edited={str(name): str(d) for name, d in content.get("edited", {}).items()},
            finished=bool(content["finished"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged ({error}); remove {path.parent} to run it again") from (
            error
        )


def write_begun(
    path: Path,
    arguments: Iterable[str],
    inputs: Mapping[str, str],
    edited: Mapping[str, str] | None = None,
    *,
    finished: bool,
) -> None:
    """Write down what a job was begun with; whole or not at all."""
    content = Begun(
        arguments=list(arguments),
        inputs=dict(inputs),
        edited=dict(edited or {}),
        finished=finished,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
