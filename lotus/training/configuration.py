"""What a training would be, without training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser

from lotus.runs import RunFolder
from lotus.training.cli import NO_DATA, LotusCLI, parse
from lotus.training.place import with_absolute_paths


@dataclass(frozen=True)
class Configuration:
    """What `lotus fit` would train with.

    Attributes:
        data: The data module, not set up.
        parsed: All values, of the parser's types.
        parser: What parsed them.
    """

    data: pl.LightningDataModule
    parsed: Namespace
    parser: LightningArgumentParser

    @cached_property
    def keys(self) -> dict[str, Any]:
        """All keys and their values, as in the configuration of a run."""
        kept = with_absolute_paths(self.parsed)
        keys: dict[str, Any] = yaml.safe_load(self.parser.dump(kept, skip_none=False))
        return keys


class DataOnlyCLI(LotusCLI):
    """Reads a whole configuration and builds its data module alone."""

    def before_instantiate_classes(self) -> None:
        """Make no run folder."""

    def instantiate_classes(self) -> None:
        """Build the data module."""
        if self.config.data is None:
            raise ValueError(NO_DATA)
        # Lightning would write the whole configuration out for checkpoints, which here are none.
        self.config_dump: dict[str, Any] = {}
        self.datamodule = self.parser.instantiate_classes(Namespace(data=self.config.data)).data  # type: ignore[no-untyped-call]


def read_configuration(arguments: list[str]) -> Configuration:
    """Read a configuration, and build nothing but its data module.

    Args:
        arguments: Of `lotus fit`, without ``fit``.

    Raises:
        ValueError: The configuration cannot be used.
    """
    cli = parse(DataOnlyCLI, arguments, run=False)
    return Configuration(cli.datamodule, cli.config, cli.parser)


class TestedDataCLI(DataOnlyCLI):
    """Reads the configuration of a run as `lotus test` does, and sets up the test data alone."""

    def instantiate_classes(self) -> None:
        """Build the data module, with the split that the configuration names beside it."""
        config = self.config[self.subcommand]
        if config.data is None:
            raise ValueError(NO_DATA)
        parser = self._parser(self.subcommand)
        self.datamodule = parser.instantiate_classes(Namespace(data=config.data)).data  # type: ignore[no-untyped-call]
        if config.splits is not None:
            self.datamodule.use_split_file(config.splits)

    def _run_subcommand(self, subcommand: str) -> None:
        """Prepare the test images."""
        self.datamodule.setup(subcommand)


def tested_data(run: RunFolder) -> Any:
    """The data module of a run, set up for its test.

    Args:
        run: Its folder.

    Raises:
        FileNotFoundError: It has no configuration, or its data are gone.
        ValueError: The data cannot be used.
    """
    if not run.config.is_file():
        raise FileNotFoundError(f"{run.path} has no {run.config.name}: give the folder of a run")
    return parse(TestedDataCLI, ["test", "--config", str(run.config)]).datamodule
