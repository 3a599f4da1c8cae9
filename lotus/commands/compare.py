"""Compare runs that were scored on the same images, in the layout of a paper's table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from lotus.evaluation.choices import Level, VotingRule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line.

    Args:
        parser: Parser of `lotus compare`.
    """
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="[NAME=]RUN",
        help="run folders, or those of cross-validations; NAME is what the table calls it",
    )
    parser.add_argument(
        "--reference", help="the name that the others are tested against (default: the last)"
    )
    parser.add_argument(
        "--unit",
        choices=("patient", "image"),
        default="patient",
        help="what counts once in means and tests (%(default)s); of classifiers always patients",
    )
    parser.add_argument(
        "--scores",
        nargs="+",
        help="columns (default: dice hd aji pq; of classifiers accuracy precision recall f1; of "
        "another task, what sums up its table)",
    )
    parser.add_argument(
        "--level",
        choices=get_args(Level),
        help="of classifiers, what is scored (default: a table each)",
    )
    parser.add_argument(
        "--rule",
        choices=get_args(VotingRule),
        default="majority",
        help="how the patches of a slice or a patient decide together (%(default)s)",
    )
    parser.add_argument(
        "--published",
        metavar="PAPER",
        help="a second block with the figures of a paper, on other data: lotus2024, "
        "mga2023-segmentation, mga2023-classification",
    )
    parser.add_argument(
        "--apart",
        nargs="+",
        default=[],
        metavar="[NAME=]RUN",
        help="runs that were scored on other images, such as a teacher's: shown, not tested",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for comparison.md, .tex, .csv, .png (box plots) and per_image.csv",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the table, and write it where it is wanted.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: Runs that cannot be compared; says why.
    """
    from lotus.studies.comparison import compare_runs

    runs = dict(_named(text) for text in arguments.runs)
    apart = dict(_named(text) for text in arguments.apart)
    if len(runs | apart) < len(arguments.runs) + len(arguments.apart):
        raise ValueError("two runs have the same name; call them NAME=RUN")
    compare_runs(
        runs,
        arguments.reference or list(runs)[-1],
        arguments.scores,
        unit=arguments.unit,
        level=arguments.level,
        rule=arguments.rule,
        published=arguments.published,
        apart=apart,
        output=arguments.output,
    )


def _named(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if separator and not Path(text).is_dir():  # A folder's own name may have the sign.
        return name, Path(folder)
    return Path(text).name, Path(text)
