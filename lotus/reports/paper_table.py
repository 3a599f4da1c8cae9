"""A table as papers have it: methods by scores, with a second block of published figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lotus.metrics.catalogue import score_of

Value = TypeVar("Value")

STARS = ((0.001, "**"), (0.05, "*"))
OF_STARS = "* p < 0.05, ** p < 0.001"
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "µ": r"$\mu$",
        "<": r"$<$",
        "λ": r"$\lambda$",
    }
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


@dataclass(frozen=True)
class PaperCell:
    """One number of a table.

    Attributes:
        text: The number with its spread.
        is_best: No other method has a better one.
        marks: Stars of its tests.
    """

    text: str
    is_best: bool = False
    marks: str = ""


@dataclass(frozen=True)
class PublishedRow:
    """Figures of a paper, on other data.

    Attributes:
        method: As the paper calls it.
        values: (mean, SD or NaN) by score, in the units of the table.
    """

    method: str
    values: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class PublishedTable:
    """What a paper's table says, for a second block.

    Attributes:
        rows: Its methods.
        note: Where its scores are not what the columns are called.
    """

    rows: tuple[PublishedRow, ...]
    note: str


@dataclass(frozen=True)
class PaperTable:
    """A table of methods by scores.

    Attributes:
        heads: Of the columns of scores.
        rows: By method, its cells.
        published: By method of a paper, its numbers on other data.
        caption: What the numbers are.
    """

    heads: tuple[str, ...]
    rows: dict[str, list[PaperCell]]
    published: dict[str, list[str]]
    caption: str


def numbers(mean: float, sd: float) -> str:
    """A mean with its standard deviation where that is known, and ``n/a`` where nothing is."""
    if not math.isfinite(mean):
        return "n/a"
    return f"{mean:.2f} ± {sd:.2f}" if math.isfinite(sd) else f"{mean:.2f}"


def laid_out(
    methods: Mapping[str, Mapping[str, Value]],
    cell: Callable[[str, Value], PaperCell],
    published: PublishedTable | None,
    caption: str,
) -> PaperTable:
    """A table of methods by scores, with a paper's figures as a second block.

    Args:
        methods: By method, in the order of the rows, then by score, the same of each.
        cell: What is shown of a score.
        published: The paper's table; None for none.
        caption: What the numbers are.
    """
    scores = list(next(iter(methods.values())))
    return PaperTable(
        tuple(score_of(score).paper_heading for score in scores),
        {
            method: [cell(score, values[score]) for score in scores]
            for method, values in methods.items()
        },
        published_rows(published, scores),
        caption,
    )


def published_rows(published: PublishedTable | None, scores: Sequence[str]) -> dict[str, list[str]]:
    """The rows of a second block, by method."""
    unknown = (math.nan, math.nan)
    return {
        row.method: [numbers(*row.values.get(score, unknown)) for score in scores]
        for row in (published.rows if published else ())
    }


def stars(p: float) -> str:
    """``**`` below 0.001, ``*`` below 0.05, nothing otherwise or without a p-value."""
    return next((mark for limit, mark in STARS if p < limit), "")


def marks(p: float, p_holm: float) -> str:
    """Stars of a test, and in brackets those that remain after Holm's correction."""
    raw, corrected = stars(p), stars(p_holm)
    return f"{raw} ({corrected})" if corrected else raw


def to_markdown(table: PaperTable) -> str:
    """The table in Markdown with its caption below."""
    lines = [["method", *table.heads], ["---"] * (len(table.heads) + 1)]
    for method, cells in table.rows.items():
        lines.append([method.replace("|", r"\|"), *map(_markdown_cell, cells)])
    for method, values in table.published.items():
        lines.append([f"{method} (published, other data)", *values])
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{body}\n\n{table.caption}\n"


def to_latex(table: PaperTable) -> str:
    """The table as a LaTeX ``table`` with ``booktabs`` rules."""
    head = " & ".join(["Method", *map(_latex_text, table.heads)])
    rows = [
        " & ".join([_latex_text(method), *map(_latex_cell, cells)])
        for method, cells in table.rows.items()
    ]
    second = [
        " & ".join(map(_latex_text, [method, *values]))
        for method, values in table.published.items()
    ]
    width = len(table.heads) + 1
    block = [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{Published, on other data}} \\"]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex_text(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(table.heads)}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        *(block if second else []),
        *(rf"{row} \\" for row in second),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: PaperCell) -> str:
    text = f"**{cell.text}**" if cell.is_best else cell.text
    shown = cell.marks.replace("*", r"\*")
    return f"{text} {shown}" if shown else text


def _latex_cell(cell: PaperCell) -> str:
    text = _latex_text(cell.text)
    text = rf"\textbf{{{text}}}" if cell.is_best else text
    shown = cell.marks.replace(" ", "")
    return rf"{text}$^{{{shown}}}$" if shown else text


def _latex_text(text: str) -> str:
    """Method names are free text: what LaTeX would read as a command is escaped."""
    return text.translate(_LATEX)
