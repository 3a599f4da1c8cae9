"""Where a run and its data lie, whatever folder a command is started in.

A run is the folder that its ``config.yaml`` lies in, not the one it was made in: it may be renamed,
moved or copied. Paths in a configuration that is kept are absolute.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lotus.runs import RunFolder

_SPLITS = "splits"


def in_its_folder(content: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """The configuration of a run with the place that its folder has now.

    Args:
        content: Of its ``config.yaml``.
        run: The folder of that file.

    Returns:
        The same with the folder's names as ``runs``, ``experiment`` and ``run``; a split file that
        is no longer there is that of the folder, where it has one.
    """
    placed: dict[str, Any] = _with_splits_of(content, run) if run.splits.is_file() else {**content}
    above = run.path.parent
    place = {"runs": str(above.parent), "experiment": above.name, "run": run.path.name}
    return {**placed, **place}


def _with_splits_of(content: Any, run: RunFolder) -> Any:
    """A split file that is gone would be drawn anew, and written to where it was."""
    if isinstance(content, Mapping):
        return {
            key: str(run.splits)
            if key == _SPLITS and isinstance(value, str) and not Path(value).is_file()
            else _with_splits_of(value, run)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_with_splits_of(value, run) for value in content]
    return content


def with_absolute_paths(value: Any) -> Any:
    """A parsed configuration whose paths are found from any folder.

    Args:
        value: The configuration, or a part of it; its paths start from the current folder.
    """
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, Namespace):
        kept = {key: with_absolute_paths(inner) for key, inner in vars(value).items()}
        return Namespace(kept)  # type: ignore[no-untyped-call]
    if isinstance(value, dict):
        return {key: with_absolute_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_absolute_paths(inner) for inner in value]
    return value
