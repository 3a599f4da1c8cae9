"""A comparison as the table of a paper: Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from lotus.evaluation.comparison import Cell, Comparison
from lotus.metrics.catalogue import score_of

STARS = ((0.001, "**"), (0.05, "*"))
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


def stars(p: float) -> str:
    """``**`` below 0.001, ``*`` below 0.05, nothing otherwise or without a p-value."""
    return next((mark for limit, mark in STARS if p < limit), "")


def caption(comparison: Comparison, published: PublishedTable | None = None) -> str:
    """What the numbers are, on how many units, and what the marks mean; then what is undefined."""
    text = (
        f"Mean ± SD over {comparison.n} {comparison.unit}s. Best in bold. * p < 0.05, ** p < 0.001 "
        f"in a paired t-test against {comparison.reference}; in brackets the marks that remain "
        "after Holm's correction over the methods of a score."
    )
    undefined, replaced = [], []
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        for score, cell in cells.items():
            name = f"{method} {score_of(score).paper_heading} in"
            if cell.undefined_images:
                n = comparison.n_apart.get(method, comparison.n) - cell.undefined
                left = f" (n = {n})" if cell.undefined else ""
                undefined.append(f"{name} {_images(cell.undefined_images)}{left}")
            if cell.replaced_images:
                replaced.append(f"{name} {_images(cell.replaced_images)}")
    if undefined:
        text += f" Undefined and left out: {', '.join(undefined)}."
    if replaced:
        text += f" Image diagonal, as one of the masks is empty: {', '.join(replaced)}."
    for method, n in comparison.n_apart.items():
        text += f" {method}: other images, n = {n} {comparison.unit}s, not tested."
    notes = [f"{method}: {note}." for method, note in comparison.notes.items()]
    return " ".join([text, *notes, *([f"Published: {published.note}."] if published else [])])


def to_markdown(comparison: Comparison, published: PublishedTable | None = None) -> str:
    """The table in Markdown with its caption below.

    Args:
        comparison: What to show.
        published: A paper's table for a second block, marked as figures on other data.
    """
    scores = list(next(iter(comparison.cells.values())))
    lines = [["method", *(score_of(score).paper_heading for score in scores)]]
    lines.append(["---"] * len(lines[0]))
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        name = method.replace("|", r"\|")
        lines.append([name, *(_markdown_cell(score, cells[score]) for score in scores)])
    for row in published.rows if published else ():
        values = [row.values.get(score, (math.nan, math.nan)) for score in scores]
        lines.append([f"{row.method} (published, other data)", *(_numbers(*v) for v in values)])
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{body}\n\n{caption(comparison, published)}\n"


def to_latex(comparison: Comparison, published: PublishedTable | None = None) -> str:
    """The table as a LaTeX ``table`` with ``booktabs`` rules; arguments as for Markdown."""
    scores = list(next(iter(comparison.cells.values())))
    head = " & ".join(["Method", *(_latex_text(score_of(score).paper_heading) for score in scores)])
    rows = [
        " & ".join([_latex_text(method), *(_latex_cell(score, cells[score]) for score in scores)])
        for method, cells in {**comparison.apart, **comparison.cells}.items()
    ]
    second = [
        " & ".join(
            [
                _latex_text(row.method),
                *(_numbers(*row.values.get(s, (math.nan, math.nan)), r" $\pm$ ") for s in scores),
            ]
        )
        for row in (published.rows if published else ())
    ]
    block = [r"\midrule", rf"\multicolumn{{{len(scores) + 1}}}{{l}}{{Published, on other data}} \\"]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex_text(caption(comparison, published))}}}",
        rf"\begin{{tabular}}{{l{'c' * len(scores)}}}",
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


def to_frame(comparison: Comparison) -> pd.DataFrame:
    """One row per method and score with everything that is known, in the scores' own units."""
    rows = []
    for method, cells in {**comparison.apart, **comparison.cells}.items():
        for score, cell in cells.items():
            test = cell.test
            rows.append(
                {
                    "method": method,
                    "score": score,
                    "unit": comparison.unit,
                    "n": comparison.n_apart.get(method, comparison.n),
                    "undefined": cell.undefined,
                    "undefined_images": cell.undefined_images,
                    "replaced_images": cell.replaced_images,
                    "mean": cell.mean,
                    "sd": cell.sd,
                    "reference": "" if method in comparison.apart else comparison.reference,
                    "pairs": test.n if test else math.nan,
                    "difference": test.difference if test else math.nan,
                    "p_t": test.p_t if test else math.nan,
                    "p_t_holm": cell.p_holm,
                    "p_wilcoxon": test.p_wilcoxon if test else math.nan,
                }
            )
    return pd.DataFrame(rows)


def _images(count: int) -> str:
    return f"{count} image" + ("s" if count > 1 else "")


def _numbers(mean: float, sd: float, between: str = " ± ") -> str:
    if not math.isfinite(mean):
        return "n/a"
    return f"{mean:.2f}{between}{sd:.2f}" if math.isfinite(sd) else f"{mean:.2f}"


def marks_of(cell: Cell) -> str:
    """Stars of the t-test, and in brackets those that remain after Holm's correction."""
    raw, corrected = stars(cell.test.p_t if cell.test else math.nan), stars(cell.p_holm)
    return f"{raw} ({corrected})" if corrected else raw


def _markdown_cell(score: str, cell: Cell) -> str:
    scale = score_of(score).paper_scale
    text = _numbers(cell.mean * scale, cell.sd * scale)
    text = f"**{text}**" if cell.is_best else text
    marks = marks_of(cell).replace("*", r"\*")
    return f"{text} {marks}" if marks else text


def _latex_cell(score: str, cell: Cell) -> str:
    scale = score_of(score).paper_scale
    text = _numbers(cell.mean * scale, cell.sd * scale, r" $\pm$ ")
    text = rf"\textbf{{{text}}}" if cell.is_best else text
    marks = marks_of(cell).replace(" ", "")
    return rf"{text}$^{{{marks}}}$" if marks else text


def _latex_text(text: str) -> str:
    """Method names are free text: what LaTeX would read as a command is escaped."""
    return text.translate(_LATEX)
