"""What a training would be, without training."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace

from lotus.training.cli import NO_DATA, LotusCLI, parse


@dataclass(frozen=True)
class Configuration:
    """What `lotus fit` would train with.

    Attributes:
        data: The data module, not set up.
        keys: All keys and their values, as in the configuration of a run.
    """

    data: pl.LightningDataModule
    keys: dict[str, Any]


class DataOnlyCLI(LotusCLI):
    """Reads a whole configuration and builds its data module alone."""

    def before_instantiate_classes(self) -> None:
        """Make no run folder."""

    def instantiate_classes(self) -> None:
        """Build the data module."""
        if self.config.data is None:
            raise ValueError(NO_DATA)
        self.datamodule = self.parser.instantiate_classes(Namespace(data=self.config.data)).data  # type: ignore[no-untyped-call]


def read_configuration(arguments: list[str]) -> Configuration:
    """Read a configuration, and build nothing but its data module.

    Args:
        arguments: Of `lotus fit`, without ``fit``.

    Raises:
        ValueError: The configuration cannot be used.
    """
    cli = parse(DataOnlyCLI, arguments, run=False)
    keys = yaml.safe_load(cli.parser.dump(cli.config, skip_none=False))
    return Configuration(cli.datamodule, keys)
