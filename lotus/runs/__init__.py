"""The run folder: its names, and readers of what lies in it."""

from lotus.runs.layout import RunFolder

__all__ = ["RunFolder"]
