"""Figures of the report, as SVG text; drawn without pyplot, so nothing stays behind."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lotus.runs.curves import best_epoch

STYLE = Path(__file__).with_name("report.mplstyle")
MEDIAN_COLOUR = "#333F4A"
PHASE_SHADES = ("#EEF3F8", "#FFF4E0")
LARGEST_LINEAR_RATIO = 30.0


def line_chart(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    y_label: str,
    phase: pd.Series | None = None,
    mark_highest: bool = False,
    wide_range: bool = False,
) -> str:
    """Curves over epochs.

    Args:
        frame: One row per epoch, indexed by epoch.
        columns: Column of the frame to its name in the legend.
        y_label: What is shown, with its unit.
        phase: Phase number per epoch; each phase gets a background shade.
        mark_highest: Put a dot at each curve's highest value, in the last phase that has one.
        wide_range: Make the y axis logarithmic if all values are positive and span more than a
            factor of 30.
    """
    with matplotlib.rc_context(fname=STYLE):
        figure, axes = canvas("epoch", y_label)
        for column, label in columns.items():
            values = frame[column].dropna()
            (line,) = axes.plot(
                values.index, values, lw=1.6, label=label, marker="o" if len(values) < 2 else ""
            )
            if mark_highest:
                known = {} if phase is None else _by_epoch(phase)
                best = best_epoch(_by_epoch(values), known)
                axes.plot([best], [values[best]], "o", c=line.get_color())
        if wide_range:
            _choose_scale(axes, frame[list(columns)])
        if phase is not None:
            _shade_phases(axes, phase)
        _legend_above(axes)
        return to_svg(figure)


def band_chart(
    frame: pd.DataFrame, mean: str, deviation: str, *, y_label: str, phase: pd.Series | None = None
) -> str:
    """A curve of means with a band of one standard deviation to either side, over epochs.

    Args:
        frame: One row per epoch, indexed by epoch.
        mean: Column of the means.
        deviation: Column of the standard deviations; may be absent from the frame.
        y_label: What is shown, with its unit.
        phase: Phase number per epoch; each phase gets a background shade.
    """
    with matplotlib.rc_context(fname=STYLE):
        figure, axes = canvas("epoch", y_label)
        values = frame[mean].dropna()
        axes.plot(values.index, values, lw=1.6, label="mean", marker="o" if len(values) < 2 else "")
        if deviation in frame:
            spread = frame.loc[values.index, deviation].fillna(0)
            axes.fill_between(
                values.index.to_numpy(),
                (values - spread).to_numpy(),
                (values + spread).to_numpy(),
                alpha=0.25,
                lw=0,
                label="± SD over samples",
            )
        if phase is not None:
            _shade_phases(axes, phase)
        _legend_above(axes)
        return to_svg(figure)


def box_plot(samples: Mapping[str, Sequence[float]], y_label: str, unit_range: bool) -> str:
    """Box plots side by side with every value as a dot.

    Box: quartiles and median; whiskers: 1.5 interquartile ranges; undefined values are left out.

    Args:
        samples: Name of the box to its values; NaN = undefined.
        y_label: What is shown, with its unit.
        unit_range: Fix the axis to [0, 1].
    """
    with matplotlib.rc_context(fname=STYLE):
        figure, axes = canvas("", y_label)
        draw_boxes(axes, samples)
        if unit_range:
            axes.set_ylim(-0.03, 1.03)
        else:
            axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])
        return to_svg(figure)


def in_lines(name: str, characters: int) -> str:
    """Break the name of a method into lines under a figure, at spaces, hyphens and underscores.

    Args:
        name: Of a method.
        characters: Of a line; longer words stay whole.

    Example:
        >>> in_lines("class_0.1_from_teacher", 12).splitlines()
        ['class_0.1_', 'from_teacher']
    """
    lines = [""]
    for word in re.split(r"(?<=[ _-])", name):
        if lines[-1] and len((lines[-1] + word).rstrip()) > characters:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def draw_boxes(axes: Axes, samples: Mapping[str, Sequence[float]]) -> None:
    """Draw the boxes and dots of :func:`box_plot` at 1, 2, ... into axes of the report's style."""
    random = np.random.default_rng(0)  # sideways scatter only, the same in every figure
    for place, (name, values) in enumerate(samples.items(), start=1):
        defined = np.asarray(values, dtype=float)
        defined = defined[np.isfinite(defined)]
        colour = f"C{place - 1}"
        axes.boxplot(
            [defined],
            positions=[place],
            widths=0.5,
            showfliers=False,
            medianprops={"color": MEDIAN_COLOUR, "lw": 1.6},
            boxprops={"color": colour, "lw": 1.3},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            tick_labels=[f"{name}\nn = {len(defined)}"],
        )
        offsets = random.uniform(-0.16, 0.16, len(defined))
        axes.plot(place + offsets, defined, "o", ms=4.5, mew=0, alpha=0.5, color=colour)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(0.4, len(samples) + 0.6)


def _by_epoch(column: pd.Series) -> dict[int, float]:
    known = column.dropna()
    return dict(zip(known.index.astype(int).tolist(), known.tolist(), strict=True))


def canvas(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """An empty figure in the style that is set, with the names of its axes."""
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.1, handlelength=1.4
    )


def _choose_scale(axes: Axes, frame: pd.DataFrame) -> None:
    """Logarithmic where the values ask for it."""
    values = frame.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() / values.min() > LARGEST_LINEAR_RATIO:
        axes.set_yscale("log")


def _shade_phases(axes: Axes, phase: pd.Series) -> None:
    """Shade the span of epochs of each phase and write its number at the top."""
    known = phase.dropna().round().astype(int)
    runs = (known != known.shift()).cumsum()
    for _, span in known.groupby(runs):
        first, last, number = float(span.index[0]), float(span.index[-1]), int(span.iloc[0])
        shade = PHASE_SHADES[(number - 1) % len(PHASE_SHADES)]
        axes.axvspan(first - 0.5, last + 0.5, color=shade, lw=0, zorder=0)
        axes.text(
            (first + last) / 2,
            0.98,
            f"phase {number}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=8,
        )
    axes.margins(x=0.02, y=0.12)  # room above the curves for the phase's name


def to_svg(figure: Figure) -> str:
    """SVG text; without the date, so that the same run gives the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()
