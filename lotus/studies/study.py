"""A study: methods that are cross-validated on the same folds and compared."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lotus.runs import RunFolder

PLACEHOLDER = re.compile(r'\{([^{}":]+)\}')
FOLD = "fold"
"""Stays in the arguments; the cross-validation fills it in."""


@dataclass(frozen=True)
class Method:
    """A row of the table, as `lotus fit` trains it.

    Attributes:
        name: What the table calls it.
        configs: Configuration files, each laid over the one before.
        arguments: Further keys and their values.
        compared: Whether it is tested against the reference; a teacher, which is scored on other
            images, stands apart.
        note: What a reader of its row has to know.
    """

    name: str
    configs: tuple[str, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    compared: bool = True
    note: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder: the name in lower case with hyphens for spaces and signs."""
        plain = unicodedata.normalize("NFKD", self.name.lower().replace("+", " plus "))
        return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")

    @property
    def placeholders(self) -> set[str]:
        """What stands in braces in its configuration files and arguments."""
        return set(PLACEHOLDER.findall(json.dumps([self.configs, dict(self.arguments)])))

    def fit_arguments(self, fill: Callable[[str], Any]) -> list[str]:
        """Arguments of `lotus fit`.

        Args:
            fill: From a placeholder to its value.
        """
        given = [f"--config={filled(config, fill)}" for config in self.configs]
        for key, value in self.arguments.items():
            value = filled(value, fill)
            given.append(f"--{key}={value if isinstance(value, str) else json.dumps(value)}")
        return given


@dataclass(frozen=True)
class Study:
    """Methods, and what they share.

    Attributes:
        name: Of the file it was read from.
        reference: The method that the others are tested against.
        variables: Values of placeholders.
        methods: By name, in the order of the table.
        published: Name of a paper whose figures make a second block; None for none.
    """

    name: str
    reference: str
    variables: Mapping[str, Any]
    methods: Mapping[str, Method]
    published: str | None = None

    def levels(self) -> list[list[Method]]:
        """The methods in groups; each needs checkpoints of earlier groups only.

        Raises:
            ValueError: Methods that wait for each other.
        """
        needs = {
            name: method.placeholders & self.methods.keys() for name, method in self.methods.items()
        }
        done: set[str] = set()
        levels = []
        while len(done) < len(needs):
            ready = [name for name in needs if name not in done and needs[name] <= done]
            if not ready:
                waiting = ", ".join(name for name in needs if name not in done)
                raise ValueError(f"{self.name}: each of {waiting} needs the checkpoint of another")
            levels.append([self.methods[name] for name in ready])
            done.update(ready)
        return levels

    def fit_arguments(self, method: Method, folder: Path) -> list[str]:
        """Arguments of `lotus fit` for a method; ``{fold}`` stays.

        Args:
            method: One of the study's.
            folder: Of the study's run, with a folder per method.

        Raises:
            ValueError: A placeholder that is neither a variable nor a method.
        """

        def fill(name: str) -> Any:
            if name == FOLD:
                return "{fold}"
            if name in self.methods:
                return str(RunFolder(folder / self.methods[name].folder).fold("{fold}").best)
            if name not in self.variables:
                known = ", ".join([FOLD, *self.variables, *self.methods])
                raise ValueError(
                    f"{self.name}: {method.name} has {{{name}}}; expected one of {known}"
                )
            return self.variables[name]

        return method.fit_arguments(fill)


def filled(value: Any, fill: Callable[[str], Any]) -> Any:
    """A value with its placeholders filled in, inside lists and mappings too.

    A text that is one placeholder and nothing else becomes its value, of whatever type.
    """
    if isinstance(value, Mapping):
        return {key: filled(item, fill) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, fill) for item in value]
    if not isinstance(value, str):
        return value
    whole = PLACEHOLDER.fullmatch(value)
    if whole:
        return fill(whole.group(1))
    return PLACEHOLDER.sub(lambda found: str(fill(found.group(1))), value)


def read_study(path: Path, variables: Mapping[str, Any]) -> Study:
    """Read a study.

    Args:
        path: YAML file with the keys ``reference``, ``variables`` and ``methods``, perhaps
            ``published``; a method has ``configs`` and may have ``arguments``, ``compared`` and
            ``note``.
        variables: These replace those of the file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be used; says what is wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no study at {path}; its file comes first, before arguments of `lotus fit`"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        methods = {
            str(name): Method(str(name), **_checked(entry))
            for name, entry in content["methods"].items()
        }
        reference, own = str(content["reference"]), dict(content.get("variables") or {})
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise ValueError(
            f"{path}: not a study ({type(error).__name__}: {detail}); expected the keys reference, "
            "variables and methods, and in each method configs, arguments, compared, note"
        ) from error
    unknown = sorted(variables.keys() - own.keys())
    if unknown:
        raise ValueError(f"{path} has no variable {unknown[0]!r}; found {', '.join(own)}")
    if reference not in methods or not methods[reference].compared:
        raise ValueError(f"{path}: the reference {reference!r} is none of the compared methods")
    folders: dict[str, str] = {}
    for name, method in methods.items():
        if folders.setdefault(method.folder, name) != name:
            raise ValueError(
                f"{path}: {folders[method.folder]} and {name} would share the folder "
                f"{method.folder}; call one otherwise"
            )
    return Study(path.stem, reference, {**own, **variables}, methods, content.get("published"))


def _checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Method`, of the types that YAML lets slip."""
    configs, arguments = entry["configs"], entry.get("arguments", {})
    if not isinstance(configs, list):
        raise TypeError(f"configs is {configs!r}, expected a list")
    if not isinstance(arguments, Mapping):
        raise TypeError(f"arguments is {arguments!r}, expected keys with values")
    return {**entry, "configs": tuple(map(str, configs)), "arguments": arguments}
