"""A study: stages that build on each other, and methods that are compared on the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lotus.runs import RunFolder
from lotus.studies.numbered import RepeatedBy
from lotus.studies.stages import ALL, Command, Training, each_of, read_method, read_stage
from lotus.studies.tables import StudyTable, read_tables
from lotus.training.layers import composed

SPLITS, FOLDER = "splits", "folder"
"""Placeholders besides variables, stages and repetitions: a fold's split file, the own folder."""

EXPECTED = (
    "expected the keys variables, methods and reference, perhaps stages and published, or tables "
    "with a reference each; in each method configs, arguments, compared, each, table, note, per; "
    "in each stage the same and tested, or command, arguments, leaves, edited, per"
)


@dataclass(frozen=True)
class Study:
    """Stages and methods, and what they share.

    Attributes:
        name: Of the file it was read from.
        variables: Values of placeholders.
        stages: All of them by name, methods too, these in the order of their tables.
        tables: By name; the only one of a study may have an empty one.
        by: What its repetitions are told apart by; ``{seed}`` is a variable in a study over folds.
    """

    name: str
    variables: Mapping[str, Any]
    stages: Mapping[str, Training | Command]
    tables: Mapping[str, StudyTable]
    by: RepeatedBy = "fold"

    @property
    def methods(self) -> dict[str, Training]:
        """The stages that are rows of a table."""
        return {
            name: stage
            for name, stage in self.stages.items()
            if isinstance(stage, Training) and stage.row is not None
        }

    def levels(self) -> list[list[Training | Command]]:
        """The stages in groups; each needs what earlier groups leave only.

        Raises:
            ValueError: Stages that wait for each other.
        """
        needs = {
            name: {needed.name for needed, _ in self.references(stage)}
            for name, stage in self.stages.items()
        }
        done: set[str] = set()
        levels = []
        while len(done) < len(needs):
            ready = [name for name in needs if name not in done and needs[name] <= done]
            if not ready:
                waiting = ", ".join(name for name in needs if name not in done)
                raise ValueError(f"{self.name}: each of {waiting} needs what another leaves")
            levels.append([self.stages[name] for name in ready])
            done.update(ready)
        return levels

    def references(self, stage: Training | Command) -> Iterator[tuple[Training | Command, str]]:
        """The stages that a stage refers to, and what of each.

        Raises:
            ValueError: A placeholder that is nothing, or what a stage does not leave.
        """
        for name in sorted(stage.placeholders):
            found = self._output(name, stage)
            if found is not None:
                yield found

    def needs_made_data(self, stage: Training | Command) -> bool:
        """Whether a stage reads what another command leaves, and not checkpoints alone."""
        return any(isinstance(needed, Command) for needed, _ in self.references(stage))

    def command_line(self, stage: Training | Command, folder: Path) -> list[str]:
        """Arguments of `lotus fit` for a training, of `lotus` for a command; ``{fold}`` stays.

        Args:
            stage: One of the study's.
            folder: Of the study's run, with a folder per stage.

        Raises:
            ValueError: A placeholder that is neither a variable nor a stage.
        """
        return stage.command_line(self._filler(stage, folder))

    def inputs(self, stage: Training | Command, folder: Path) -> tuple[str, ...]:
        """The paths that a stage reads of others; ``{fold}`` stays.

        Args:
            stage: One of the study's.
            folder: Of the study's run.
        """
        return tuple(
            str(needed.outputs(folder, self.by)[output])
            for needed, output in self.references(stage)
        )

    def _filler(self, stage: Training | Command, folder: Path) -> Callable[[str], Any]:
        def fill(name: str) -> Any:
            if name == self.by:
                return f"{{{name}}}"
            if name == FOLDER:
                return str(stage.place(folder, self.by))
            if name == SPLITS:
                return str(RunFolder(folder / stage.folder).split_of_fold("{fold}"))
            found = self._output(name, stage)
            if found is not None:
                return str(found[0].outputs(folder, self.by)[found[1]])
            return self.variables[name]

        return fill

    def _output(self, name: str, user: Training | Command) -> tuple[Training | Command, str] | None:
        """The stage, and what of it, that a placeholder means; None for all others."""
        own = self._of_repetitions(user)
        if name in own:
            return None
        if (name == FOLDER and isinstance(user, Command)) or name in self.variables:
            return None
        owner, output = name, ""
        if name not in self.stages:
            owner, _, output = name.rpartition(".")
        if owner not in self.stages:
            known = ", ".join([*own, *self.variables, *self.stages])
            raise ValueError(f"{self.name}: {user.name} has {{{name}}}; expected one of {known}")
        stage = self.stages[owner]
        outputs = list(stage.outputs(Path(), self.by))
        if output and output not in outputs:
            raise ValueError(
                f"{self.name}: {user.name} has {{{name}}}, but {owner} leaves {', '.join(outputs)}"
            )
        if stage.per == "fold" and user.per == "study" and output != ALL:
            raise ValueError(
                f"{self.name}: {user.name} is run once, but {{{name}}} is made in every fold; "
                f"give {user.name} `per: fold` or {owner} `per: study`"
            )
        return stage, output or outputs[0]

    def _of_repetitions(self, user: Training | Command) -> list[str]:
        """The placeholders of a stage that is run more than once."""
        if user.per == "study":
            return []
        return [self.by, *([SPLITS] if self.by == "fold" else [])]


def read_study(path: Path, variables: Mapping[str, Any], by: RepeatedBy = "fold") -> Study:
    """Read a study.

    Args:
        path: YAML file with the keys ``variables``, ``methods`` and ``reference`` (or ``tables``
            that have one each), perhaps ``stages``, ``published``, and ``parts`` as a configuration
            has them. A method has ``configs`` and may have ``arguments``, ``compared``, ``table``,
            ``note`` and ``per``; a stage is such a training without a row, ``tested`` only if it
            says so, or has ``command`` with ``arguments`` and ``leaves``.
        variables: These replace those of the file.
        by: What repetitions are told apart by.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be used; says what is wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no study at {path}; its file comes first, before arguments of `lotus fit`"
        )
    try:
        content = composed(path)
        stages = {
            str(name): read_stage(str(name), entry)
            for name, entry in (content.get("stages") or {}).items()
        }
        own = dict(content.get("variables") or {})
        methods = {
            name: read_method(name, entry)
            for given, content_of in (content.get("methods") or {}).items()
            for name, entry in each_of(str(given), content_of, {**own, **variables})
        }
        tables = read_tables(content, methods)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise ValueError(
            f"{path}: not a study ({type(error).__name__}: {detail}); {EXPECTED}"
        ) from error
    unknown = sorted(variables.keys() - own.keys())
    if unknown:
        raise ValueError(f"{path} has no variable {unknown[0]!r}; found {', '.join(own)}")
    _check_names(
        path,
        [*stages, *methods, *(own.keys() - {by}), "fold", SPLITS, FOLDER],
        {**stages, **methods},
    )
    study = Study(
        path.stem,
        {**own, **variables},
        {**stages, **methods},
        tables,
        by,
    )
    for stage in study.stages.values():
        list(study.references(stage))
    return study


def _check_names(path: Path, names: list[str], stages: Mapping[str, Training | Command]) -> None:
    """No name in braces means two things, and no two stages write to one place."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path}: {twice} is the name of two things; call one otherwise")
    if not stages:
        raise ValueError(f"{path}: neither methods nor stages; {EXPECTED}")
    folders = {RunFolder(Path()).tables.name: "the tables"}
    for name, stage in stages.items():
        if folders.setdefault(stage.folder, name) != name:
            raise ValueError(
                f"{path}: {folders[stage.folder]} and {name} would share the folder "
                f"{stage.folder}; call one otherwise"
            )
