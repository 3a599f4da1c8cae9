"""What a run folder holds, and under which names; no other module knows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The names in a run folder, ``<runs>/<experiment>/<run>``; nothing needs to be there.

    The folders of cross-validations, sweeps and comparisons are run folders too, with the runs of
    their folds and trials inside.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> RunFolder | None:
        """The run that a checkpoint lies in; None for one that lies elsewhere."""
        folder = checkpoint.resolve().parent
        run = cls(folder.parent)
        return run if run.checkpoints == folder else None

    @classmethod
    def of_config(cls, config: Path) -> RunFolder | None:
        """The run whose resolved configuration a file is; None for any other file.

        A folder with a file of that name alone may hold somebody's layers.
        """
        run = cls(config.parent.resolve())
        is_run = run.environment.is_file() or run.checkpoints.is_dir()
        return run if is_run and run.config.name == config.name else None

    # What was run, on which data.

    @property
    def config(self) -> Path:
        """The resolved configuration, as `lotus fit` takes it."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, device, commit and the commands that worked in the folder."""
        return self.path / "environment.json"

    @property
    def splits(self) -> Path:
        """Which patients train, validate and test; of a cross-validation, in every fold."""
        return self.path / "splits.json"

    @property
    def data(self) -> Path:
        """What the data module says of its data."""
        return self.path / "data.json"

    @property
    def model(self) -> Path:
        """What the task says of its network: where its weights come from, what guided them."""
        return self.path / "model.json"

    @property
    def charts(self) -> Path:
        """Which curves belong into one picture, as the task says."""
        return self.path / "charts.json"

    @property
    def log(self) -> Path:
        """What the commands of a job printed; locked by those that write to it."""
        return self.path / "log.txt"

    @property
    def begun(self) -> Path:
        """What a stage of a study was begun with: its arguments and what its inputs were."""
        return self.path / "stage.json"

    # What a training leaves.

    @property
    def curves(self) -> Path:
        """What was logged, epoch by epoch, as Lightning's CSV logger calls it."""
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.checkpoints / "last.ckpt"

    @property
    def student(self) -> Path:
        """The plain student of a distillation's best checkpoint."""
        return self.checkpoints / "student.ckpt"

    @property
    def encoder(self) -> Path:
        """The encoder of a pretraining's best checkpoint, as timm's weights alone."""
        return self.path / "encoder.safetensors"

    @property
    def convergence(self) -> Path:
        """After how many epochs a training with a stopping rule had converged."""
        return self.path / "convergence.json"

    # What a test or a prediction leaves: a file per image in each folder.

    @property
    def predictions(self) -> Path:
        """Folder of the predicted label maps."""
        return self.path / "predictions"

    @property
    def targets(self) -> Path:
        """Folder of the true label maps."""
        return self.path / "targets"

    @property
    def images(self) -> Path:
        """Folder of 8-bit pictures of the images, as the network saw them."""
        return self.path / "images"

    @property
    def classes(self) -> Path:
        """Folder of the predicted class maps, where a network tells several classes apart."""
        return self.path / "classes"

    def prediction_of(self, name: str) -> Path:
        """The predicted label map of an image."""
        return self.predictions / f"{name}.tif"

    def target_of(self, name: str) -> Path:
        """The true label map of an image."""
        return self.targets / f"{name}.tif"

    def image_of(self, name: str) -> Path:
        """The picture of an image."""
        return self.images / f"{name}.png"

    def classes_of(self, name: str) -> Path:
        """The predicted class map of an image."""
        return self.classes / f"{name}.tif"

    @property
    def patterns(self) -> dict[Path, str]:
        """The folders that every scored run has, with the pattern of their files."""
        return {self.predictions: "*.tif", self.targets: "*.tif", self.images: "*.png"}

    @property
    def scores(self) -> Path:
        """The scores of the test images; appears whole, and last."""
        return self.path / "scores.csv"

    @property
    def domain_scores(self) -> Path:
        """The scores of each domain, where a run is of several; of folds, of each fold's test."""
        return self.path / "domains.csv"

    @property
    def classified(self) -> Path:
        """The probabilities of every test patch, where the run is of a classifier."""
        return self.path / "classified.csv"

    @property
    def predicted(self) -> RunFolder:
        """Where a prediction writes, apart from the images that were scored."""
        return RunFolder(self.path / "predict")

    # Of an explanation, which has a folder of its own.

    @property
    def explanation(self) -> RunFolder:
        """Where the explanation of a classifier lies, unless it is told another folder."""
        return RunFolder(self.path / "explained")

    @property
    def explained(self) -> Path:
        """What a classifier was explained for in every patch, and how good the maps are."""
        return self.path / "explained.csv"

    @property
    def explained_patients(self) -> Path:
        """The same, summed up by patient."""
        return self.path / "patients.csv"

    @property
    def explained_summary(self) -> Path:
        """The scores of an explanation over patients, beside chance."""
        return self.path / "summary.csv"

    @property
    def explained_against(self) -> Path:
        """Tests of an explanation against that of another network."""
        return self.path / "against.csv"

    @property
    def explained_other(self) -> RunFolder:
        """The explanation of the other network."""
        return RunFolder(self.path / "other")

    @property
    def explained_sheet(self) -> Path:
        """The maps of some patches of every patient in one picture."""
        return self.path / "overlays.png"

    @property
    def explained_settings(self) -> Path:
        """Layer, class and settings of an explanation."""
        return self.path / "explained.json"

    def overlay_of(self, name: str) -> Path:
        """The picture of a patch and of the map over it."""
        return self.path / "overlays" / f"{name}.png"

    @property
    def report(self) -> Path:
        """The report for a browser."""
        return self.path / "report.html"

    # Of a cross-validation.

    def fold(self, number: int | str) -> RunFolder:
        """The run of a fold.

        Args:
            number: From 0, or the placeholder that stands for it.
        """
        return RunFolder(self.path / f"fold{number}")

    def split_of_fold(self, number: int | str) -> Path:
        """Which patients train, validate and test in a fold; numbers as for :meth:`fold`."""
        return self.path / "splits" / f"fold{number}.json"

    def planned_folds(self) -> Iterator[RunFolder]:
        """The folds that were to be made, whether or not they were run."""
        for split in sorted((self.path / "splits").glob("fold*.json")):
            yield RunFolder(self.path / split.stem)

    @property
    def fold_scores(self) -> Path:
        """The mean scores of every fold."""
        return self.path / "fold_scores.csv"

    def seed(self, number: int | str) -> RunFolder:
        """The run of a seed, where one method is trained with several; numbers as for folds."""
        return RunFolder(self.path / f"seed{number}")

    def trained_seeds(self) -> Iterator[RunFolder]:
        """The runs of seeds that are there, in the order of their numbers."""
        runs = [RunFolder(path) for path in self.path.glob("seed*") if path.name[4:].isdigit()]
        for run in sorted(runs, key=lambda run: int(run.path.name[4:])):
            if run.config.is_file():
                yield run

    @property
    def seed_scores(self) -> Path:
        """The mean scores of every seed."""
        return self.path / "seed_scores.csv"

    @property
    def nnunet(self) -> Path:
        """Folder of what nnU-Net made of the data, where it trained the folds."""
        return self.path / "nnunet"

    # Of a sweep.

    def trial(self, number: int) -> RunFolder:
        """The run of a trial, from 0."""
        return RunFolder(self.path / f"trial{number:03d}")

    @property
    def trial_record(self) -> Path:
        """Of a trial: the parameters it tries, and whether it was stopped early."""
        return self.path / "trial.json"

    @property
    def trial_table(self) -> Path:
        """The parameters and the best score of every trial of a sweep."""
        return self.path / "sweep.csv"

    # Of a comparison.

    def comparison(self, suffix: str) -> Path:
        """The compared methods as a table or figure.

        Args:
            suffix: ``.md``, ``.tex``, ``.csv`` or ``.png``.
        """
        return self.path / f"comparison{suffix}"

    @property
    def compared_images(self) -> Path:
        """The scores of all compared methods in every image."""
        return self.path / "per_image.csv"

    def factors(self, suffix: str) -> Path:
        """What scores follow where the compared methods are a grid, as a table or figure.

        Args:
            suffix: ``.csv`` or ``.png``.
        """
        return self.path / f"factors{suffix}"

    @property
    def tables(self) -> Path:
        """Folder of the tables of a study that has several."""
        return self.path / "tables"

    def table(self, name: str) -> RunFolder:
        """The comparison of one of several tables; the folder itself where the name is empty."""
        return RunFolder(self.tables / name) if name else self
