"""Where many jobs run: on this machine."""

from lotus.engines.job import JobFailed, TrainingJob
from lotus.engines.local import LocalEngine

__all__ = ["JobFailed", "LocalEngine", "TrainingJob"]
