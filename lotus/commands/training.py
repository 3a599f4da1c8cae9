"""`lotus fit`, `validate`, `test` and `predict`."""

from lotus.training.cli import run

__all__ = ["run"]
