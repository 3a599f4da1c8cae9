"""Where many jobs run: one after another on this machine, or on a Ray cluster."""

from lotus.engines.job import Engine, JobFailed, TrainingJob
from lotus.engines.local import LocalEngine

__all__ = ["Engine", "JobFailed", "LocalEngine", "TrainingJob"]
