"""A study run on an engine: its stages planned, done level by level, and its table written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lotus.engines import CommandJob, Engine, Job, TrainingJob
from lotus.reports.study import StudySection, write_study_report
from lotus.runs import RunFolder
from lotus.studies.comparison import compare_runs
from lotus.studies.factors import write_factors
from lotus.studies.numbered import numbered
from lotus.studies.repeats import Planned, Repeats
from lotus.studies.stages import Command, Training
from lotus.studies.study import SPLITS, Study
from lotus.studies.tables import StudyTable
from lotus.training.configuration import read_configuration
from lotus.training.same_configuration import refuse_another_configuration


@dataclass(frozen=True)
class Jobs:
    """The jobs of a stage whose tests, if it has any, score themselves."""

    jobs: Sequence[Job]

    def score(self) -> int:
        """Nothing is left to score."""
        return 0


@dataclass
class StudyRun:
    """A study in a folder.

    Attributes:
        study: What is run.
        folder: Holds a folder per stage, and the table.
        fit_arguments: Of `lotus fit`, for every training.
        repeats: What is repeated of the stages that are not run once.
    """

    study: Study
    folder: Path
    fit_arguments: Sequence[str]
    repeats: Repeats

    def run(self, engine: Engine) -> None:
        """Run what is left of all stages, score them and write the table.

        Args:
            engine: Where the jobs of a level run.

        Raises:
            ValueError: A configuration or a fold cannot be used, or a job failed. Nothing has been
                run if a configuration cannot be used, or a fold of data that are there already.
        """
        levels = self.study.levels()
        stages = [stage for level in levels for stage in level]
        # All configurations are read before anything is run; where data are still to be made, no
        # more than that.
        for stage in stages:
            if isinstance(stage, Training) and stage.per == "fold":
                arguments = numbered(self._command_line(stage), self.repeats.by, self.repeats.first)
                self.repeats.heed(read_configuration(arguments).data)
            elif isinstance(stage, Training):
                read_configuration(self._command_line(stage))
        planned = {stage.name: self._plan(stage) for stage in self._ready(stages)}
        for level in levels:
            planned |= {s.name: self._plan(s) for s in level if s.name not in planned}
            engine.run([job for stage in level for job in planned[stage.name].jobs])
            for stage in level:
                planned[stage.name].score()
        self._compare()

    def _ready(self, stages: Sequence[Training | Command]) -> list[Training | Command]:
        """What can be planned before anything is run, the trainings first.

        How often a command is run per fold may be known only when what it refers to is planned.
        """
        ready = {s.name: s for s in stages if not self.study.needs_made_data(s)}
        waiting = [
            name
            for name, stage in ready.items()
            if isinstance(stage, Command)
            and any(needed.name not in ready for needed, _ in self.study.references(stage))
        ]
        for name in waiting:
            del ready[name]
        return sorted(ready.values(), key=lambda stage: isinstance(stage, Command))

    def _plan(self, stage: Training | Command) -> Planned:
        if isinstance(stage, Command):
            return Jobs([self._command_job(stage, number) for number in self._numbers(stage)])
        if stage.per == "study":
            return Jobs([self._single_training(stage)])
        return self.repeats.plan(
            self.folder / stage.folder,
            self._command_line(stage),
            inputs=self.study.inputs(stage, self.folder),
            tested=stage.tested,
            made_data=self.study.needs_made_data(stage),
        )

    def _single_training(self, stage: Training) -> TrainingJob:
        arguments = tuple(self._command_line(stage))
        read_configuration(list(arguments))
        inputs = tuple(map(Path, self.study.inputs(stage, self.folder)))
        job = TrainingJob(
            self.folder.parent, self.folder.name, stage.folder, arguments, stage.tested, inputs
        )
        refuse_another_configuration(job.folder, job.arguments)
        return job

    def _command_job(self, stage: Command, number: int | None) -> CommandJob:
        def here(texts: Sequence[str]) -> list[str]:
            return [*texts] if number is None else numbered(texts, self.repeats.by, number)

        by = self.repeats.by
        outputs = stage.outputs(self.folder, by).values()
        folder, *leaves = here([str(stage.place(self.folder, by)), *map(str, outputs)])
        inputs = here(self.study.inputs(stage, self.folder))
        if SPLITS in stage.placeholders and number is not None:
            inputs.append(str(self.repeats.split_file(self.folder / stage.folder, number)))
        job = CommandJob(
            name="/".join([stage.folder, *([] if number is None else [Path(folder).name])]),
            folder=Path(folder),
            arguments=tuple(here(self.study.command_line(stage, self.folder))),
            inputs=tuple(map(Path, inputs)),
            leaves=dict(zip(stage.leaves, map(Path, leaves), strict=False)),
            edited=tuple(Path(folder) / path for path in stage.edited),
        )
        job.refuse_other_arguments()
        return job

    def _numbers(self, stage: Command) -> Sequence[int | None]:
        return self.repeats.numbers if stage.per == "fold" else [None]

    def _command_line(self, stage: Training) -> list[str]:
        return [*self.study.command_line(stage, self.folder), *self.fit_arguments]

    def _compare(self) -> None:
        """Write every table, and all of them into one report."""
        sections = [self._section(table) for table in self.study.tables.values()]
        if sections:
            runs = {s.name: self._first_run(s) for s in self.study.methods.values()}
            print(write_study_report(self.folder, self.study.name, sections, runs))

    def _section(self, table: StudyTable) -> StudySection:
        methods = {n: m for n, m in self.study.methods.items() if m.table == table.name}
        places = {name: [self.folder / method.folder] for name, method in methods.items()}
        output = RunFolder(self.folder).table(table.name)
        if table.title:
            print(f"\n{table.title}\n")
        tables = compare_runs(
            {name: places[name] for name, method in methods.items() if method.row == "compared"},
            table.reference,
            table.scores or None,
            unit=self.repeats.unit,
            level=table.level,
            rule=table.rule,
            published=table.published,
            notes={name: method.note for name, method in methods.items() if method.note},
            apart={name: places[name] for name, method in methods.items() if method.row == "apart"},
            output=output.path,
        )
        factors = write_factors(output, methods)
        figures = [output.comparison(".png")]
        if factors is not None:
            figures.append(output.factors(".png"))
        return StudySection(table.title or "Comparison", tables, figures, factors)

    def _first_run(self, stage: Training) -> Path:
        """The run of a method's first repetition."""
        place = str(stage.place(self.folder, self.repeats.by))
        return Path(numbered([place], self.repeats.by, self.repeats.first)[0])
