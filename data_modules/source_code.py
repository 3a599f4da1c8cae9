"""The code that a result depends on, as a digest."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import ModuleType

PROJECT = {"lotus", "data_modules"}


def source_digest(modules: Iterable[ModuleType]) -> str:
    """SHA-256 of the source of modules and of all of the project that they import, at any depth.

    Imports inside functions count too. Other packages, and what is not written in Python, are left
    out.

    Args:
        modules: Where to start. Where one is of another package, such as a user's own, that counts
            as the project's.

    Returns:
        64 hexadecimal digits, the same in every process.
    """
    files = {module.__name__: Path(getattr(module, "__file__", None) or "") for module in modules}
    packages = PROJECT | {_package(name) for name in files} - sys.stdlib_module_names
    sources = {
        name: file.read_text(encoding="utf-8")
        for name, file in files.items()
        if _package(name) in packages and file.suffix == ".py"
    }
    waiting = list(sources)
    while waiting:
        name = waiting.pop()
        for imported in _imports(sources[name], name):
            file = _file(imported) if _package(imported) in packages else None
            if file is not None and file[0] not in sources:
                sources[file[0]] = file[1].read_text(encoding="utf-8")
                waiting.append(file[0])
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    return digest.hexdigest()


def _package(name: str) -> str:
    return name.partition(".")[0]


def _imports(source: str, name: str) -> Iterator[str]:
    """Dotted names that a module imports; the last part may be that of a class or function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parent = name if _is_package(name) else name.rpartition(".")[0]
                module = resolve_name("." * node.level + module, parent)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_package(name: str) -> bool:
    return hasattr(sys.modules.get(name), "__path__")


def _file(name: str) -> tuple[str, Path] | None:
    """The module that a dotted name is, or is an attribute of, and its file."""
    while name:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            return name, Path(spec.origin)
        name = name.rpartition(".")[0]
    return None
