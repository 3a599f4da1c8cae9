"""Compare runs that were scored on the same images, in the layout of a paper's table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

SCORES = ("dice", "hd", "aji", "pq")
OUTPUTS = "folder for comparison.md, .tex, .csv, .png (box plots) and per_image.csv"


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
        help="what counts once in means and tests (%(default)s)",
    )
    parser.add_argument(
        "--scores", nargs="+", default=list(SCORES), help=f"columns ({' '.join(SCORES)})"
    )
    parser.add_argument(
        "--published",
        metavar="PAPER",
        help="a second block with the figures of a paper, on other data: lotus2024",
    )
    parser.add_argument(
        "--apart",
        nargs="+",
        default=[],
        metavar="[NAME=]RUN",
        help="runs that were scored on other images, such as a teacher's: shown, not tested",
    )
    parser.add_argument("--output", type=Path, help=OUTPUTS)


def run(arguments: argparse.Namespace) -> None:
    """Print the table, and write it where it is wanted.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: Runs that cannot be compared; says why.
    """
    runs = dict(_named(text) for text in arguments.runs)
    apart = dict(_named(text) for text in arguments.apart)
    if len(runs | apart) < len(arguments.runs) + len(arguments.apart):
        raise ValueError("two runs have the same name; call them NAME=RUN")
    compare_runs(
        runs,
        arguments.reference or list(runs)[-1],
        arguments.scores,
        unit=arguments.unit,
        published=arguments.published,
        apart=apart,
        output=arguments.output,
    )


def compare_runs(
    runs: Mapping[str, Path],
    reference: str,
    scores: Sequence[str] = SCORES,
    *,
    unit: str = "patient",
    published: str | None = None,
    notes: Mapping[str, str] | None = None,
    apart: Mapping[str, Path] | None = None,
    output: Path | None = None,
) -> None:
    """Print the table of runs, and write it and what belongs to it.

    Args:
        runs: Run folders, or those of cross-validations, by the name of their method.
        reference: The method that the others are tested against.
        scores: Columns.
        unit: ``patient`` or ``image``.
        published: Name of a paper whose figures make a second block.
        notes: What a reader of a method's row has to know.
        apart: Runs that were scored on other images.
        output: Folder of the files; None writes none.

    Raises:
        FileNotFoundError: A run has no scores.
        ValueError: Runs that cannot be compared; says why.
    """
    from lotus.atomic import atomic_path
    from lotus.evaluation.comparison import compare_methods, per_image, read_scores
    from lotus.reports.comparison import to_frame, to_latex, to_markdown
    from lotus.reports.comparison_figure import write_comparison_figure
    from lotus.reports.published import published_table

    second = published_table(published) if published else None
    methods = {name: read_scores(folder) for name, folder in runs.items()}
    others = {name: read_scores(folder) for name, folder in (apart or {}).items()}
    comparison = compare_methods(methods, reference, scores, unit, notes or {}, others)
    table = to_markdown(comparison, second)
    print(table, end="")
    if output is None:
        return
    texts = {
        "comparison.md": table,
        "comparison.tex": to_latex(comparison, second),
        "comparison.csv": to_frame(comparison).to_csv(index=False, float_format="%.10g"),
        "per_image.csv": per_image(methods, scores).to_csv(
            index=False, float_format="%.10g", na_rep="nan"
        ),
    }
    for name, text in texts.items():
        with atomic_path(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_comparison_figure(output / "comparison.png", comparison)


def _named(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if separator and not Path(text).is_dir():  # A folder's own name may have the sign.
        return name, Path(folder)
    return Path(text).name, Path(text)
