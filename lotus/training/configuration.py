"""What a training would be, without training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser

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
