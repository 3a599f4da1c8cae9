"""Where many jobs run: on this machine, or on a Ray cluster."""

from lotus.engines.job import Engine, Job, JobFailed, TrainingJob
from lotus.engines.local import LocalEngine
from lotus.engines.ray import RayEngine

__all__ = ["Engine", "Job", "JobFailed", "LocalEngine", "RayEngine", "TrainingJob"]
