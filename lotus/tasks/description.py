"""Objects as plain data and back, so that a checkpoint alone rebuilds what it needs."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

_PLAIN = (bool, int, float, str, type(None))


def describe(value: Any) -> Any:
    """Plain data from which :func:`build` makes an equal object.

    An object is described by its class and its constructor's arguments, read from attributes of
    the same names.

    Args:
        value: a plain value, a list, tuple or dict of describable values, or an object whose
            class keeps its constructor arguments as attributes.

    Returns:
        Plain values, lists and dicts; objects as ``{"class_path": ..., "init_args": {...}}``.

    Raises:
        ValueError: an argument of the constructor is not kept as an attribute.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
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
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": arguments}


def build(description: Any) -> Any:
    """The object of a description made by :func:`describe` or written in YAML.

    Args:
        description: plain data; dicts with ``class_path`` become objects.

    Raises:
        ValueError: a class that cannot be imported or does not take its arguments.
    """
    if isinstance(description, list):
        return [build(item) for item in description]
    if not isinstance(description, dict):
        return description
    if "class_path" not in description:
        return {key: build(item) for key, item in description.items()}
    class_path = description["class_path"]
    module, _, name = class_path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
        return kind(**build(description.get("init_args") or {}))
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"cannot build {class_path}: {error}") from error
