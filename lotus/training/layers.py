"""Configuration files composed of parts, so that a block of several files stands once.

A file may have a mapping from keys to other files, relative to itself::

    experiment: distill
    parts:
      data.init_args.student: ../data/sr_microct.yaml
      data.init_args.teacher: ../data/histology.yaml
    data:
      class_path: data_modules.UnpairedDataModule

Each part is put at its key, one after the other, and the file's own keys are laid over them:
mappings are merged, all other values replaced. Parts may have parts. jsonargparse itself takes a
file as the value of a key too, but drops it if the same layer has another key that goes into it.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, get_loader
from pytorch_lightning.cli import LightningArgumentParser

from lotus.runs import RunFolder
from lotus.tasks.description import MOVED, windows_of
from lotus.training.place import in_its_folder

PARTS = "parts"
INFERER = "inferer"
_UNREADABLE = (yaml.YAMLError, UnicodeDecodeError)


class LayeredParser(LightningArgumentParser):
    """LightningCLI's parser, whose files may be composed of parts, or of a run, new or old."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a file; one without parts, of this version and of no run, as it is.

        Args:
            path: The file.
            args: As for jsonargparse.
            kwargs: As for jsonargparse.
        """
        parsed: Namespace
        file = Path(path)
        run = RunFolder.of_config(file)
        if _is_rewritten(file, run):
            content = of_this_version(composed(file))
            if run is not None:
                content = in_its_folder(content, run)
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            # Where jsonargparse reads a file from, so that a path in it means the same.
            with contextlib.chdir(file.parent):
                parsed = self.parse_string(text, file.name, *args, **kwargs)
        else:
            parsed = super().parse_path(path, *args, **kwargs)
        return parsed


def composed(path: Path, users: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The content of a configuration file with its parts in it.

    Args:
        path: The file.
        users: Files that it is a part of, the outermost first.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: A file is a part of itself, or something that has to be a mapping is none.
    """
    chain = " -> ".join(map(str, (*users, path)))
    if any(path.samefile(user) for user in users):
        raise ValueError(f"{chain}: a circle of parts")
    try:
        own = _read(path)
    except _UNREADABLE as error:
        raise ValueError(f"{chain}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(own, dict):
        raise ValueError(f"{chain}: found {type(own).__name__}, expected a mapping")
    parts = own.pop(PARTS, {})
    if not isinstance(parts, dict) or {type(text) for text in (*parts, *parts.values())} - {str}:
        raise ValueError(f"{chain}: {PARTS} is {parts!r}, expected a mapping from keys to files")
    whole: dict[str, Any] = {}
    for key, name in parts.items():
        part = path.parent / name
        if not part.is_file():
            raise FileNotFoundError(f"{chain}: no part at {part}")
        if obstacle := _obstacle(merged(whole, own), key):
            raise ValueError(f"{chain}: no place for {part} at {key}: {obstacle} is no mapping")
        content = composed(part, (*users, path))
        for inner in reversed(key.split(".")):
            content = {inner: content}
        whole = merged(whole, content)
    return merged(whole, own)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping laid over another.

    Args:
        below: Gives way where both have a key.
        above: Its mappings are laid over those of the same key in turn, other values replace.
    """
    whole = dict(below)
    for key, value in above.items():
        old = whole.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = merged(old, value)
        whole[key] = value
    return whole


def _obstacle(content: Any, key: str) -> str | None:
    """The first key on the way to another one, or that one itself, whose value is no mapping."""
    way: list[str] = []
    for name in key.split("."):
        if not isinstance(content, Mapping):
            return ".".join(way)
        content = content.get(name, {})
        way.append(name)
    return None if isinstance(content, Mapping) else key


def of_this_version(content: Any) -> Any:
    """A configuration in which classes are named where they are now, and no inferer is left.

    Args:
        content: Of a file that an earlier version may have written.
    """
    if isinstance(content, Mapping):
        kept = {key: of_this_version(value) for key, value in content.items() if key != INFERER}
        return merged(windows_of(content[INFERER]), kept) if INFERER in content else kept
    if isinstance(content, list):
        return [of_this_version(value) for value in content]
    return MOVED.get(content, content) if isinstance(content, str) else content


def _is_rewritten(path: Path, run: RunFolder | None) -> bool:
    try:
        content = _read(path)
    except (OSError, *_UNREADABLE):
        return False  # jsonargparse says why.
    if not isinstance(content, dict):
        return False
    return run is not None or PARTS in content or of_this_version(content) != content


def _read(path: Path) -> Any:
    """Values as jsonargparse reads them: for YAML alone 1e-3 would be a text."""
    return get_loader("yaml")(path.read_text(encoding="utf-8"))
