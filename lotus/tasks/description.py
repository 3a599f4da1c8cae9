"""Objects as plain data and back, so that a checkpoint alone rebuilds what it needs."""

import inspect
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from lotus.windows.grid import STRIDE

_PLAIN = (bool, int, float, str, type(None))

MOVED = {
    f"{module}.{name}": f"lotus.schemes.{name}"
    for name, home in (
        ("BoundaryWatershed", "instances"),
        ("ConnectedComponents", "instances"),
        ("FlowField", "flows"),
    )
    for module in ("lotus.transforms", f"lotus.transforms.{home}")
}
"""Class paths in checkpoints and configurations of version 0.1, and where the classes are now."""


WHOLE = 1024
"""Side of the windows in place of none: most images are whole in it, and memory is bounded."""


def windows_of(inferer: Any) -> dict[str, Any]:
    """What a task is told of its windows in place of the inferer of MONAI that version 0.1 had.

    Args:
        inferer: Its description; None stands for the default.

    Returns:
        ``window`` and, where it is known, ``overlap``; nothing for the default.
    """
    if inferer is None:
        return {}
    settings = (inferer.get("init_args") or {}) if isinstance(inferer, dict) else {}
    sides = settings.get("roi_size", -1)
    side = max(sides) if isinstance(sides, list) else sides
    told: dict[str, Any] = {"window": -(-side // STRIDE) * STRIDE if side > 0 else WHOLE}
    if "overlap" in settings:
        told["overlap"] = settings["overlap"]
    instead = ", ".join(f"{name}: {value}" for name, value in told.items())
    warnings.warn(f"`inferer` is of an earlier version; {instead} stands for it", stacklevel=2)
    return told


def import_class(path: str) -> Any:
    """The class or function of a dotted path.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
    """
    module, _, name = path.rpartition(".")
    return getattr(import_module(module or "builtins"), name)


def public_path(kind: type) -> str:
    """The shortest dotted path that a class can be imported by.

    Checkpoints and configurations name classes by it, so that a module may move within its package.

    Args:
        kind: A class of any package.

    Returns:
        For example ``lotus.networks.UNet`` of the class in ``lotus.networks.unet``.
    """
    parts = kind.__module__.split(".")
    for length in range(1, len(parts)):
        package = ".".join(parts[:length])
        if getattr(import_module(package), kind.__qualname__, None) is kind:
            return f"{package}.{kind.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def with_public_paths(description: Any) -> Any:
    """A description with every class named by its public path, wherever it once stood.

    Args:
        description: Plain data, from a checkpoint or configuration of this or an earlier version.
    """
    if isinstance(description, list):
        return [with_public_paths(item) for item in description]
    if not isinstance(description, dict):
        return description
    renamed = {key: with_public_paths(item) for key, item in description.items()}
    if isinstance(path := renamed.get("class_path"), str):
        path = MOVED.get(path, path)
        try:
            kind = import_class(path)
        except (ImportError, AttributeError):
            return renamed  # what cannot be imported is refused by whoever builds it
        renamed["class_path"] = public_path(kind) if isinstance(kind, type) else path
    return renamed


def describe(value: Any) -> Any:
    """Plain data from which :func:`build` makes an equal object.

    An object is described by its class and its constructor's arguments, read from attributes of
    the same names.

    Args:
        value: A plain value, a list, tuple or dict of describable values, or an object whose
            class keeps its constructor arguments as attributes.

    Returns:
        Plain values, lists and dicts; objects as ``{"class_path": ..., "init_args": {...}}``.

    Raises:
        ValueError: An argument of the constructor is not kept as an attribute.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict | nn.ModuleDict):
        return {key: describe(item) for key, item in value.items()}
    kind = type(value)
    arguments: dict[str, Any] = {}
    for name in inspect.signature(kind).parameters:
        if not hasattr(value, name):
            raise ValueError(
                f"cannot describe {kind.__qualname__}: it does not keep its argument {name!r} as "
                "an attribute; build the task from a configuration (class_path, init_args) instead"
            )
        arguments[name] = describe(getattr(value, name))
    return {"class_path": public_path(kind), "init_args": arguments}


def build(description: Any) -> Any:
    """The object of a description made by :func:`describe` or written in YAML.

    Args:
        description: Plain data; dicts with ``class_path`` become objects.

    Raises:
        ValueError: A class that cannot be imported or does not take its arguments.
    """
    if isinstance(description, list):
        return [build(item) for item in description]
    if not isinstance(description, dict):
        return description
    if "class_path" not in description:
        return {key: build(item) for key, item in description.items()}
    class_path = description["class_path"]
    try:
        return import_class(class_path)(**build(description.get("init_args") or {}))
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"cannot build {class_path}: {error}") from error
