"""Write the self-contained HTML report of a run."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line.

    Args:
        parser: Parser of `lotus report`.
    """
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run folder, runs/<experiment>/<run>"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the report of every run and print its path.

    Args:
        arguments: Parsed command line.

    Raises:
        ValueError: If a folder is not that of a run.
    """
    from lotus.reports.report import write_report

    for folder in arguments.runs:
        print(write_report(folder))
