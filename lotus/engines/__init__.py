"""Where many jobs run: on this machine, or on a Ray cluster."""

from lotus.engines.command_job import CommandJob
from lotus.engines.job import Engine, Job, JobFailed, TrainingJob
from lotus.engines.local import LocalEngine
from lotus.engines.ray import RayEngine

__all__ = ["CommandJob", "Engine", "Job", "JobFailed", "LocalEngine", "RayEngine", "TrainingJob"]
