"""What a study is made of: trainings and other commands, and what each of them leaves."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from lotus.runs import RunFolder
from lotus.studies.numbered import RepeatedBy
from lotus.studies.placeholders import filled, placeholders

Per = Literal["fold", "study"]
"""How often a stage is run: for each fold (or seed), or once for the study."""

Row = Literal["compared", "apart"]
"""How a training stands in the table: tested against the reference, or on other images."""


ALL = "all"
"""What a stage per fold leaves in all folds together."""


@dataclass(frozen=True)
class Stage:
    """A node of a study's graph.

    Attributes:
        name: By which others refer to it.
        per: Whether it is run for every fold, or seed, or once.
    """

    name: str
    per: Per = "fold"

    @property
    def folder(self) -> str:
        """Name of its folder: the name in lower case with hyphens for spaces and signs."""
        plain = unicodedata.normalize("NFKD", self.name.lower().replace("+", " plus "))
        return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")

    def place(self, study: Path, by: RepeatedBy = "fold") -> Path:
        """Where it works inside the folder of a study's run.

        Args:
            study: The folder.
            by: What tells repetitions apart; its placeholder stands in the path.
        """
        run = RunFolder(study / self.folder)
        if self.per == "study":
            return run.path
        return (run.fold("{fold}") if by == "fold" else run.seed("{seed}")).path

    def _left(self, study: Path, own: dict[str, Path]) -> dict[str, Path]:
        """What it leaves, and where that of all folds lies."""
        return own if self.per == "study" else {**own, ALL: study / self.folder}


@dataclass(frozen=True)
class Training(Stage):
    """A training, as `lotus fit` takes it; methods are trainings that are rows of a table.

    Attributes:
        configs: Configuration files, each laid over the one before.
        arguments: Further keys and their values.
        tested: Whether the test images are scored after it.
        row: How it stands in its table; None where it does not.
        table: Name of the table; empty where the study has but one.
        note: What a reader of its row has to know.
        levels: Its place in a grid of methods, by factor; empty where it is in none.
    """

    configs: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tested: bool = True
    row: Row | None = None
    table: str = ""
    note: str = ""
    levels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def placeholders(self) -> set[str]:
        """What stands in braces in its configuration files and arguments."""
        return placeholders([self.configs, dict(self.arguments)])

    def outputs(self, study: Path, by: RepeatedBy = "fold") -> dict[str, Path]:
        """What others may refer to, by name; the first is meant where none is named.

        ``all`` is the folder of all folds or seeds, which a stage that is run once may refer to.
        """
        run = RunFolder(self.place(study, by))
        own = {"checkpoint": run.best, "last": run.last, "folder": run.path}
        return self._left(study, {**own, "encoder": run.encoder})

    def command_line(self, fill: Callable[[str], Any]) -> list[str]:
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
class Command(Stage):
    """Another `lotus` command, such as ``segment`` or ``enhance``.

    Attributes:
        command: Its name.
        arguments: Of the command; ``{folder}`` is the folder it is to write to. A variable that is
            a list stands for an argument each.
        leaves: What others may refer to, by name: paths inside its folder.
        edited: Paths inside its folder that a person may edit, so that it is run again.
    """

    command: str = ""
    arguments: tuple[str, ...] = ()
    leaves: Mapping[str, str] = field(default_factory=dict)
    edited: tuple[str, ...] = ()

    @property
    def placeholders(self) -> set[str]:
        """What stands in braces in its arguments."""
        return placeholders([*self.arguments])

    def outputs(self, study: Path, by: RepeatedBy = "fold") -> dict[str, Path]:
        """What others may refer to, by name; the first is meant where none is named.

        ``all`` is the folder of all folds or seeds, which a stage that is run once may refer to.
        """
        folder = self.place(study, by)
        left = {name: folder / path for name, path in self.leaves.items()}
        return self._left(study, {**left, "folder": folder})

    def command_line(self, fill: Callable[[str], Any]) -> list[str]:
        """Arguments of `lotus`.

        Args:
            fill: From a placeholder to its value.
        """
        given = [self.command]
        for argument in self.arguments:
            value = filled(argument, fill)
            given += map(str, value) if isinstance(value, list) else [str(value)]
        return given


def each_of(
    name: str, entry: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The methods that one entry of a study's file stands for.

    An entry with ``each``, which has a list of levels for every factor, or a variable in braces
    that is one, stands for one method per combination: the factors in braces, in its name too, are
    filled in. Any other entry stands for itself.

    Args:
        name: Of the entry.
        entry: Its content.
        variables: Of the study, with their values.

    Yields:
        Name and entry of each method; the latter has its ``levels``.

    Raises:
        TypeError: ``each`` is no factors with lists.
        ValueError: The name does not tell all combinations apart.
    """
    grid = filled(entry.get("each", {}), _known(variables))
    if not isinstance(grid, Mapping) or not all(isinstance(v, list) and v for v in grid.values()):
        raise TypeError(f"each of {name} is {grid!r}, expected factors with lists of levels")
    if missing := sorted(grid.keys() - placeholders(name)):
        raise ValueError(f"the name {name!r} does not hold {{{missing[0]}}}, by which it differs")
    rest = {key: value for key, value in entry.items() if key != "each"}
    if not grid:
        yield name, rest
        return
    for chosen in product(*grid.values()):
        levels = dict(zip(grid, chosen, strict=True))
        text = filled(name, _known(levels))
        yield str(text), {**filled(rest, _known(levels)), "levels": levels}


def _known(values: Mapping[str, Any]) -> Callable[[str], Any]:
    """Fills in what is among the values and leaves all other placeholders as they are."""
    return lambda name: values.get(name, f"{{{name}}}")


def read_method(name: str, entry: Mapping[str, Any]) -> Training:
    """A training that is a row of a table, as a study's file says it.

    Args:
        name: Its name.
        entry: ``configs``, and perhaps ``arguments``, ``compared``, ``table``, ``note`` and
            ``per``.

    Raises:
        KeyError, TypeError, ValueError: It cannot be used.
    """
    row: Row = "compared" if entry.get("compared", True) else "apart"
    rest = {key: value for key, value in entry.items() if key != "compared"}
    return Training(name, **_checked(rest), row=row)


def read_stage(name: str, entry: Mapping[str, Any]) -> Training | Command:
    """A training without a row, or another command, as a study's file says it.

    Args:
        name: Its name.
        entry: That of a method and ``tested``, or ``command``, and perhaps ``arguments``,
            ``leaves``, ``edited`` and ``per``.

    Raises:
        KeyError, TypeError, ValueError: It cannot be used.
    """
    if "command" not in entry:
        return Training(name, **{"tested": False, **_checked(entry)})
    arguments, leaves = entry.get("arguments", []), entry.get("leaves", {})
    edited = entry.get("edited", [])
    for key, value in (("arguments", arguments), ("edited", edited)):
        if not isinstance(value, list):
            raise TypeError(f"{key} of a command is {value!r}, expected a list")
    if not isinstance(leaves, Mapping):
        raise TypeError(f"leaves is {leaves!r}, expected names with paths")
    fields = {
        **entry,
        "arguments": tuple(map(str, arguments)),
        "leaves": {str(name): str(path) for name, path in leaves.items()},
        "edited": tuple(map(str, edited)),
    }
    return Command(name, **_with_known_per(fields))


def _checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Training`, of the types that YAML lets slip."""
    configs, arguments = entry["configs"], entry.get("arguments", {})
    if not isinstance(configs, list):
        raise TypeError(f"configs is {configs!r}, expected a list")
    if not isinstance(arguments, Mapping):
        raise TypeError(f"arguments is {arguments!r}, expected keys with values")
    fields = {**entry, "configs": tuple(map(str, configs)), "arguments": arguments}
    return _with_known_per(fields)


def _with_known_per(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("per", "fold") not in get_args(Per):
        raise ValueError(f"per is {fields['per']!r}, expected one of {', '.join(get_args(Per))}")
    return fields
