"""One training as LightningCLI runs it: layered YAML, a run folder."""

import logging
import os
import signal
import warnings
from argparse import ArgumentError
from collections.abc import Hashable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from jsonargparse.typing import register_type
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.plugins.io import CheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException

from data_modules.manifest import ManifestError
from lotus.atomic import atomic_path
from lotus.callbacks import BestCheckpoint, EpochSeed, RunRecord
from lotus.callbacks.checkpoint_io import AtomicCheckpointIO
from lotus.callbacks.run_loggers import run_loggers
from lotus.metrics.catalogue import score_of
from lotus.runs import RunFolder
from lotus.tasks.base import BaseTask
from lotus.tasks.checkpoint import check_architecture
from lotus.tasks.description import import_class
from lotus.training.errors import shortened, without_dump
from lotus.training.known_patients import COHORT, KnownPatients, known_patients
from lotus.training.layers import LayeredParser
from lotus.training.place import with_absolute_paths

TERMINATED = 143
"""Exit status after SIGTERM, as a shell gives it."""

WANDB_LIMIT_S = "20"
"""How long a training waits for W&B before it goes on offline."""

NO_DATA = "no data: give --data CLASS_PATH, or a --config with a data section"

# What libraries say about their own inside, at every start, and that nobody here can act on.
_NOISE = (
    "LightningCLI's args parameter",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "Attribute '.*' is an instance of `nn.Module`",
    "Found .* module\\(s\\) in eval mode at the start of training",
    "The number of training batches .* is smaller than the logging interval",
    "The '.*_dataloader' does not have many workers",
    "Checkpoint directory .* exists and is not empty",
    "Precision .* is not supported by the model summary",
    "`torch.nn.utils.weight_norm` is deprecated",
)


class LotusCLI(LightningCLI):
    """LightningCLI whose runs are folders ``runs/<experiment>/<run>/`` that explain themselves."""

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static in Lightning
        """The subcommand that is asked for alone: every one would get a parser of all keys."""
        return {
            name: skipped
            for name, skipped in super().subcommands().items()
            if name in self.parser_kwargs
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Where the run goes, and which score picks its best checkpoint."""
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
        parser.add_argument("--experiment", type=str, default="experiment", help="its name")
        parser.add_argument(
            "--run",
            type=str,
            default=None,
            help="its name; a time by default, or that of W&B's agent",
        )
        parser.add_argument(
            "--splits",
            type=Path | None,
            default=None,
            help="file that says which patients train, validate and test; made if it is missing",
        )
        parser.add_argument(
            "--cohort",
            type=str,
            default=COHORT,
            help="whose patients these are: equal names in two cohorts are different people",
        )
        parser.add_argument(
            "--monitor",
            type=str | None,
            default=None,
            help="score of the best checkpoint; the task's own by default",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Read the configuration; what it leaves open, the task decides."""
        super().parse_arguments(parser, args)
        config = self.config[self.config.subcommand] if "subcommand" in self.config else self.config
        if config.monitor is None:
            config.monitor = import_class(config.model.class_path).monitor

    def _parse_ckpt_path(self) -> None:
        """Keep the configuration as given: Lightning would overwrite it by the checkpoint's.

        A checkpoint of another architecture is then refused instead of silently built.
        """

    def before_instantiate_classes(self) -> None:
        """Make the run folder, its loggers and its checkpoints."""
        config = self.config[self.subcommand]
        config.run = config.run or default_run_name()
        self.folder = Path(config.runs) / config.experiment / config.run
        run = RunFolder(self.folder)
        if self.subcommand == "fit":
            self._refuse_overwriting(config.ckpt_path, run.last)
        elif config.ckpt_path is None:
            config.ckpt_path = str(run.best)
        if config.ckpt_path == "last":
            config.ckpt_path = str(run.last)
        if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise FileNotFoundError(
                f"no checkpoint at {config.ckpt_path}: train first, or give --ckpt_path FILE"
            )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The trainer of the configuration, in the run folder."""
        config = self.config_init[self.subcommand]
        trainer = self._get(self.config_init, "trainer")
        trainer["default_root_dir"] = self.folder
        plugins = trainer["plugins"] or []
        plugins = [*plugins] if isinstance(plugins, list) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        trainer["plugins"] = plugins
        if trainer["logger"] is None:
            kwargs["logger"] = run_loggers(config.runs, config.experiment, config.run)
        run = RunFolder(self.folder)
        checkpoints: dict[str, Any] = {
            "dirpath": run.checkpoints,
            "enable_version_counter": False,
        }
        best = BestCheckpoint(
            filename=run.best.stem,
            monitor=config.monitor,
            mode="min" if score_of(config.monitor).lower_is_better else "max",
            **checkpoints,
        )
        # Lightning's own save_last writes only when the best checkpoint changes.
        last = ModelCheckpoint(filename=run.last.stem, save_on_train_epoch_end=True, **checkpoints)
        self.trainer_defaults["callbacks"] = [
            best,
            last,
            EpochSeed(int(config.seed_everything)),
            RunRecord(),
            *self._callbacks_of_the_task(trainer["callbacks"] or []),
            *([LearningRateMonitor("epoch")] if self.subcommand == "fit" else []),
        ]
        return super().instantiate_trainer(**kwargs)

    def before_fit(self) -> None:
        """Keep the resolved configuration in the run folder."""
        if self.trainer.is_global_zero:
            config = self.config["fit"].clone()
            # A test of a resumed run is to score its best checkpoint like any other test.
            config.ckpt_path = None
            text = self._parser("fit").dump(with_absolute_paths(config), skip_none=False)
            with atomic_path(RunFolder(self.folder).config) as path:
                path.write_text(text)

    def after_fit(self) -> None:
        """Let the task leave what it makes of a finished training."""
        if self.trainer.is_global_zero:
            self.model.after_fit(RunFolder(self.folder))

    def _run_subcommand(self, subcommand: str) -> None:
        """Run, once data, network and checkpoint are known to fit: bad input leaves no trace."""
        if self.datamodule is None:
            raise ValueError(NO_DATA)
        splits = self.config[subcommand].splits
        if splits is not None:
            self.datamodule.use_split_file(Path(splits))
        self.datamodule.setup(subcommand)
        if subcommand == "fit":
            self.model.patients = self._known_patients()
        self.model.setup(subcommand)
        checkpoint = self.config[subcommand].ckpt_path
        if checkpoint is not None:
            check_architecture(self.model, Path(checkpoint))
        try:
            super()._run_subcommand(subcommand)
        except SystemExit as stopped:
            # After Ctrl-C Lightning ignores further ones and exits with the status of an error.
            if not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt(self._how_to_go_on(subcommand)) from None

    def _known_patients(self) -> KnownPatients:
        """Whom the checkpoints of this training will know; refused if it tests one of them."""
        config = self.config["fit"]
        resumed = [] if config.ckpt_path is None else [Path(config.ckpt_path)]
        origins = [*self.model.origins(), *self.datamodule.origins(), *resumed]
        return known_patients(origins, self.datamodule.splits, config.cohort)

    def _callbacks_of_the_task(self, given: pl.Callback | list[pl.Callback]) -> list[pl.Callback]:
        """Those that the configuration does not name itself."""
        named = {type(callback) for callback in (given if isinstance(given, list) else [given])}
        return [callback for callback in self.model.callbacks() if type(callback) not in named]

    def _how_to_go_on(self, subcommand: str) -> str:
        if subcommand != "fit":
            return ""
        if not RunFolder(self.folder).last.is_file():
            return "before the first checkpoint"
        return f"go on with --run {self.folder.name} --ckpt_path last"

    def _refuse_overwriting(self, checkpoint: str | None, last: Path) -> None:
        if checkpoint is None and last.is_file():
            raise ValueError(
                f"{self.folder} holds a finished or interrupted run: go on with --ckpt_path last, "
                "or give another --run"
            )


def run(arguments: list[str]) -> None:
    """Run one training command.

    Args:
        arguments: ``[fit|validate|test|predict, ...]``.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_INIT_TIMEOUT", WANDB_LIMIT_S)
    try:
        parse(LotusCLI, arguments)
    except SIGTERMException as error:
        # Lightning's exception says 0, and a terminated training would look finished.
        raise SystemExit(TERMINATED) from error


def parse(cli: type[LotusCLI], arguments: list[str], *, run: bool = True) -> LotusCLI:
    """Read a configuration, and run its subcommand where that is wanted.

    Args:
        cli: Class that reads it.
        arguments: ``[fit|validate|test|predict, ...]``; without the first where nothing is run.
        run: Whether the subcommand is run.

    Raises:
        ValueError: The configuration cannot be used; one line that says where and why.
    """
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=message)
    # MONAI's keys are of this type; without it the saved configuration would not hold them.
    register_type(Hashable, serializer=str, deserializer=str)
    options = {"exit_on_error": False}
    subcommand = {arguments[0]: options} if run else {}
    try:
        return cli(
            BaseTask,
            subclass_mode_model=True,
            args=arguments,
            run=run,
            seed_everything_default=0,
            save_config_callback=None,
            auto_configure_optimizers=False,
            # The data module's sampler shards itself, and is the same after a resume.
            trainer_defaults={"use_distributed_sampler": False},
            parser_class=LayeredParser,
            parser_kwargs={"prog": "lotus", **options, **subcommand},
        )
    except ArgumentError as error:
        # The keys are those of `fit` where nothing is run.
        raise ValueError(shortened(error.message, arguments[0] if run else "fit")) from error
    except ManifestError:
        raise
    except (MisconfigurationException, ValueError) as error:
        raise ValueError(without_dump(str(error))) from error


def default_run_name() -> str:
    """The name of a run without one, the same for all processes that Lightning starts for it.

    Returns:
        The time of the start; for an agent of W&B, which may start several runs in one second, the
        name that W&B gave the run.
    """
    if of_the_agent := os.environ.get("WANDB_RUN_ID"):
        return of_the_agent
    if "LOCAL_RANK" not in os.environ or "LOTUS_RUN" not in os.environ:
        os.environ["LOTUS_RUN"] = datetime.now().strftime("%Y%m%d-%H%M%S")
    return os.environ["LOTUS_RUN"]
