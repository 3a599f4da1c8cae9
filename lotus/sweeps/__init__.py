"""Searching the parameters of a configuration, in the sweep schema of W&B."""

from lotus.sweeps.schema import Sweep, read_sweep
from lotus.sweeps.trial import Trial

__all__ = ["Sweep", "Trial", "read_sweep"]
