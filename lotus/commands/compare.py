"""Compare runs that were scored on the same images, in the layout of a paper's table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from lotus.evaluation.choices import ComparisonUnit, Level, VotingRule

SAME_NAME = "two runs have the same name; call them NAME=RUN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line.

    Args:
        parser: Parser of `lotus compare`.
    """
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="[NAME=]RUN",
        help="run folders, or those of cross-validations; NAME is what the table calls it. The "
        "same NAME several times: seeds of one method",
    )
    parser.add_argument(
        "--reference", help="the name that the others are tested against (default: the last)"
    )
    parser.add_argument(
        "--unit",
        choices=get_args(ComparisonUnit),
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

    runs, apart = _by_name(arguments.runs), _by_name(arguments.apart)
    if runs.keys() & apart.keys():
        raise ValueError(SAME_NAME)
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


def _by_name(texts: Sequence[str]) -> dict[str, list[Path]]:
    """Runs by their names; a name that was given stands for all runs it was given to."""
    runs: dict[str, list[Path]] = {}
    given = set()
    for text in texts:
        name, separator, folder = text.partition("=")
        if not separator or Path(text).is_dir():  # A folder's own name may have the sign.
            name, folder = Path(text).name, text
        else:
            given.add(name)
        runs.setdefault(name, []).append(Path(folder))
    if any(len(folders) > 1 for name, folders in runs.items() if name not in given):
        raise ValueError(SAME_NAME)
    return runs
