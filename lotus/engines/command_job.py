"""A job of one `lotus` command that is no training."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lotus.engines.inputs import fingerprints, read_begun, write_begun
from lotus.engines.job import JobFailed
from lotus.runs import RunFolder


@dataclass(frozen=True)
class CommandJob:
    """One `lotus` command in a folder of its own, run again when what it was made from changed.

    Attributes:
        name: What tells the job from the others that run with it.
        folder: Its folder.
        arguments: Of `lotus`, the command first.
        inputs: Files and folders of earlier jobs that it reads.
        leaves: What it leaves, by name: paths inside the folder.
        edited: What a person may edit afterwards, so that it is run again.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...] = ()
    leaves: Mapping[str, Path] = field(default_factory=dict)
    edited: tuple[Path, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether it ended well with these arguments and inputs, and what it left is there."""
        begun = read_begun(self._record)
        return (
            begun is not None
            and begun["finished"]
            and begun["arguments"] == [*self.arguments]
            and all(path.exists() for path in self.leaves.values())
            and begun["inputs"] == fingerprints(self.inputs)
            and begun["edited"] == self._edited()
        )

    def commands(self) -> list[list[str]]:
        """The command, unless it is finished."""
        return [] if self.is_finished else [[*self.arguments]]

    def begin(self) -> None:
        """Write down what it is begun with; what was made from other inputs is removed.

        Raises:
            JobFailed: It was begun with other arguments, or an input is not there.
        """
        self.refuse_other_arguments()
        try:
            inputs = fingerprints(self.inputs)
        except FileNotFoundError as error:
            raise JobFailed(str(error)) from error
        begun = read_begun(self._record)
        if begun is not None and begun["inputs"] != inputs:
            for path in self.leaves.values():
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
        write_begun(self._record, self.arguments, inputs, finished=False)

    def end(self) -> None:
        """Note that the command ended well.

        Raises:
            JobFailed: It did not leave what it should.
        """
        for name, path in self.leaves.items():
            if not path.exists():
                raise JobFailed(f"`lotus {self.arguments[0]}` left no {name} at {path}")
        inputs = fingerprints(self.inputs)
        write_begun(self._record, self.arguments, inputs, self._edited(), finished=True)

    def refuse_other_arguments(self) -> None:
        """Refuse a folder that the command was begun in with other arguments.

        Raises:
            JobFailed: It was.
        """
        begun = read_begun(self._record)
        if begun is not None and begun["arguments"] != [*self.arguments]:
            raise JobFailed(
                f"{self.folder} was begun with `{shlex.join(begun['arguments'])}`, and now it "
                f"would be `{shlex.join(self.arguments)}`; give the study as it was, or another "
                "--run"
            )

    def _edited(self) -> dict[str, str]:
        return fingerprints(path for path in self.edited if path.exists())

    @property
    def _record(self) -> Path:
        return RunFolder(self.folder).begun
