"""One configuration trained with several seeds, on the same split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lotus.engines import TrainingJob
from lotus.evaluation.classified_runs import gather_classified_seeds
from lotus.evaluation.seeds import score_seeds
from lotus.runs import RunFolder
from lotus.studies.numbered import numbered
from lotus.training.configuration import read_configuration
from lotus.training.same_configuration import refuse_another_configuration


@dataclass(frozen=True)
class SeedRuns:
    """The trainings of one configuration.

    Attributes:
        folder: Holds a run folder per seed and, once scored, the scores of all of them.
        jobs: The training of each seed.
        seeds: The seeds.
        tested: Whether test images are scored.
    """

    folder: Path
    jobs: tuple[TrainingJob, ...]
    seeds: tuple[int, ...]
    tested: bool

    @classmethod
    def plan(
        cls,
        folder: Path,
        fit_arguments: Sequence[str],
        seeds: Sequence[int],
        *,
        inputs: Sequence[str] = (),
        tested: bool = True,
    ) -> SeedRuns:
        """Read the configuration; nothing is trained and no image is read.

        Args:
            folder: Holds a run folder per seed and, once scored, the scores of all of them.
            fit_arguments: Of `lotus fit`; ``{seed}`` is the seed, which `seed_everything` gets too.
            seeds: The seeds.
            inputs: Files that a training starts from or learns from, with ``{seed}``.
            tested: Whether test images are scored.

        Raises:
            ValueError: The configuration cannot be used, or a run was begun with another one.
        """
        jobs = []
        for seed in seeds:
            name = RunFolder(folder).seed(seed).path.name
            arguments = [*numbered(fit_arguments, "seed", seed), f"--seed_everything={seed}"]
            read = tuple(map(Path, numbered(inputs, "seed", seed)))
            jobs.append(
                TrainingJob(folder.parent, folder.name, name, tuple(arguments), tested, read)
            )
        read_configuration(list(jobs[0].arguments))
        for job in jobs:
            refuse_another_configuration(job.folder, job.arguments)
        return cls(folder, tuple(jobs), tuple(seeds), tested)

    def score(self) -> int:
        """Bring the scores of all seeds together.

        Returns:
            Number of scored images or patches, over all seeds; 0 where none are tested.

        Raises:
            ValueError: A seed has no scores, or other images than the first.
        """
        if not self.tested:
            return 0
        runs = {seed: RunFolder(self.folder).seed(seed) for seed in self.seeds}
        if any(run.classified.is_file() for run in runs.values()):
            return gather_classified_seeds(runs, self.folder)
        return score_seeds(runs, self.folder)
