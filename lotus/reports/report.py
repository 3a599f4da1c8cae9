"""The self-contained HTML report of a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from lotus.atomic import atomic_path
from lotus.metrics.catalogue import headline_distance, headlines, score_of
from lotus.reports import classification, figures, overlays, pictures, tables
from lotus.reports.explanation import explanation_content
from lotus.reports.remarks import warnings_of
from lotus.runs import RunFolder
from lotus.runs.charts import TRAINING, Chart
from lotus.runs.contents import RunContents, contact_sheets, is_phantom, read_run

EXPECTED_DATA = ("data", "splits")


def write_report(run: Path) -> Path:
    """Write the report of a run from what its folder holds.

    What a run lacks is named in the report. The file refers to nothing outside itself.

    Args:
        run: Folder `runs/<experiment>/<run>`.

    Returns:
        Path of the report.

    Raises:
        ValueError: If the folder is not that of a run.
    """
    contents = read_run(run)
    environment = Environment(
        loader=PackageLoader("lotus.reports", ""), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("report.html.j2").render(_content(contents))
    target = RunFolder(run).report
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _content(run: RunContents) -> dict[str, object]:
    """Everything the template shows."""
    environment = run.environment or {}
    content: dict[str, object] = {
        "title": run.title,
        "experiment": run.folder.path.parent.name,
        "run_name": run.folder.path.name,
        "reasons": {"curves": "", "scores": ""} | run.missing,
        "curves_file": run.folder.curves.name,
        "facts": _facts(run),
        "phantom": is_phantom(run),
        "warnings": warnings_of(run),
        "invocations": _invocation_table(environment),
        "environment": _environment_rows(environment),
        "configuration": tables.configuration_groups(run.config or {}),
        "config_text": run.config_text,
        "data_parts": tables.data_parts(run.data or {}),
        "split": tables.split_table(run.splits) if run.splits else None,
        "data_reasons": [run.missing[name] for name in EXPECTED_DATA if name in run.missing],
        "sheets": [
            {"uri": pictures.file_uri(sheet), "title": f"Phantom {sheet.parent.name}"}
            for sheet in contact_sheets(run)
        ],
        "training": _training_figures(run),
        "explanation": explanation_content(run.folder),
        "task_sections": _sections_of_the_task(run),
        "model": tables.model_rows(run.model or {}),
        "classification": _classification(run),
        "version": lotus_version(),
        "written": datetime.now().strftime("%Y-%m-%d %H:%M"),
    }
    return content | _score_content(run) | _reproduction(run)


def _facts(run: RunContents) -> list[tuple[str, str]]:
    """The few numbers a reader looks for first."""
    facts = []
    environment = run.environment or {}
    fits = [entry for entry in environment.get("invocations", []) if entry.get("stage") == "fit"]
    if fits:
        facts += [("training", str(fits[-1].get("status", "unknown")))]
        known = [entry["duration_s"] for entry in fits if entry.get("duration_s") is not None]
        facts += [("training time", tables.duration_text(sum(known) if known else None))]
        facts += _best_checkpoint(fits[-1].get("best"))
    if run.curves is not None and "train_loss" in run.curves:
        facts.append(("epochs", str(int(run.curves["train_loss"].notna().sum()))))
    if run.convergence is not None:
        facts.append(("epochs to convergence", str(run.convergence.converged_after)))
    if run.classified is not None:
        facts += classification.classification_facts(run.classified)
    elif run.scores is not None:
        facts.append(("scored images", str(len(run.scores))))
        for name in headlines(run.scores):
            if _has(run.scores, name):
                score = score_of(name)
                mean = run.scores[name].mean()
                facts.append((f"mean {score.heading}", f"{mean:.{score.decimals}f}"))
    return facts


def _best_checkpoint(origin: Mapping[str, int] | None) -> list[tuple[str, str]]:
    """Where the best checkpoint comes from; of a run of version 0.1 that is not known."""
    if origin is None:
        return []
    text = f"epoch {origin['epoch']}"
    if origin["phases"] > 1:
        text += f", phase {origin['phase']} of {origin['phases']}"
    return [("best checkpoint", text)]


def _invocation_table(environment: Mapping[str, Any]) -> tables.Table | None:
    entries = environment.get("invocations", [])
    if not entries:
        return None
    rows = [
        [
            str(entry.get("stage", "")),
            str(entry.get("started", "")).replace("T", " ")[:16],
            tables.duration_text(entry.get("duration_s")),
            str(entry.get("status", "unknown")),
            str(entry.get("command", "")),
        ]
        for entry in entries
    ]
    return tables.Table(["stage", "started", "took", "status", "command"], rows)


def _environment_rows(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not environment:
        return []
    names = {
        "device": "device",
        "processes": "processes",
        "cpu_threads": "CPU threads",
        "precision": "precision",
        "platform": "platform",
    }
    rows = [(label, str(environment[key])) for key, label in names.items() if key in environment]
    versions = environment.get("versions", {})
    rows.append(("versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
    commit = environment.get("git_commit") or "not in a git checkout"
    dirty = " with uncommitted changes" if environment.get("git_uncommitted_changes") else ""
    return [*rows, ("git commit", f"{commit}{dirty}")]


def _training_figures(run: RunContents) -> list[dict[str, str]]:
    """What every training has, and what the task shows beside it."""
    if run.curves is None:
        return []
    curves, phase = run.curves, run.curves.get("phase")
    rates = {str(name): str(name) for name in curves if str(name).startswith("lr")}
    scores = _validation_scores(curves)
    loss = {"train_loss": "training", "val_loss": "validation"}
    own = [chart for chart in run.charts or [] if chart.section == TRAINING]
    best = "Mean over images; a dot marks the highest value of the last phase."
    drawn = []
    for chart in (
        Chart("Loss", loss, "loss", "Mean over each epoch."),
        *own,
        Chart("Validation scores", scores, "score", best),
        Chart("Learning rate", rates, "learning rate", "At the start of each epoch."),
    ):
        present = {name: label for name, label in chart.curves.items() if _has(curves, name)}
        if present:
            svg = figures.line_chart(
                curves,
                present,
                y_label=chart.y_label,
                phase=phase,
                mark_highest=chart.curves is scores,
                wide_range=chart.curves is not scores and chart.curves is not rates,
            )
            drawn.append(_figure(chart.title, svg, chart.note))
    return drawn


def _sections_of_the_task(run: RunContents) -> dict[str, list[dict[str, str]]]:
    """The figures of each section that the task adds; none yet where nothing is logged."""
    curves = pd.DataFrame() if run.curves is None else run.curves
    sections: dict[str, list[dict[str, str]]] = {}
    for chart in run.charts or []:
        if chart.section == TRAINING:
            continue
        drawn = sections.setdefault(chart.section, [])
        present = {name: label for name, label in chart.curves.items() if _has(curves, name)}
        if present and chart.deviation:
            (name,) = present
            svg = figures.band_chart(
                curves, name, chart.deviation, y_label=chart.y_label, phase=curves.get("phase")
            )
            drawn.append(_figure(chart.title, svg, chart.note))
        elif present:
            svg = figures.line_chart(
                curves, present, y_label=chart.y_label, phase=curves.get("phase")
            )
            drawn.append(_figure(chart.title, svg, chart.note))
    return sections


def _validation_scores(curves: pd.DataFrame) -> dict[str, str]:
    """Column and label of the headline scores of which more is better."""
    logged = [str(name) for name in curves if str(name).startswith("val_")]
    scores = [score_of(name) for name in headlines(name.removeprefix("val_") for name in logged)]
    return {f"val_{score.name}": score.label for score in scores if not score.lower_is_better}


def _score_content(run: RunContents) -> dict[str, object]:
    colours = {
        "target only": overlays.TARGET_COLOUR,
        "prediction only": overlays.PREDICTION_COLOUR,
        "both, within one pixel": overlays.AGREEMENT_COLOUR,
    }
    empty: dict[str, object] = {"score_rows": [], "boxes": [], "examples": [], "legend": []}
    if run.scores is None or run.classified is not None:
        return empty
    ranked_by = pictures.ranking_score(run.scores)
    return {
        "score_rows": tables.score_table(run.scores),
        "score_note": tables.score_note(run.scores),
        "per_image": tables.image_table(run.scores),
        "boxes": _box_plots(run.scores),
        "ranked_by": score_of(ranked_by).label if ranked_by else "",
        "examples": pictures.show_examples(run.folder, run.scores),
        "legend": [(name, "rgb({}, {}, {})".format(*rgb)) for name, rgb in colours.items()],
    }


def _classification(run: RunContents) -> dict[str, object] | None:
    """Scores of classified patches; None where the run is of no classifier."""
    if run.classified is None:
        return None
    svg = classification.calibration_figure(run.classified)
    return {
        "levels": classification.level_table(run.classified),
        "confusion": classification.confusion_tables(run.classified),
        "patients": classification.patient_table(run.classified),
        "figures": [_figure("Calibration", svg, "Of the patches, in 15 bins of the probability.")],
    }


def _box_plots(scores: pd.DataFrame) -> list[dict[str, str]]:
    note = "Median and quartiles, whiskers at 1.5 interquartile ranges; one dot per image."
    defined = [str(name) for name in scores if _has(scores, str(name))]
    shown = [name for name in headlines(scores) if name in defined]
    drawn = []
    if shown:
        values = {score_of(name).label: scores[name].tolist() for name in shown}
        shares = all(score_of(name).unit == "share" for name in shown)
        svg = figures.box_plot(values, "score", unit_range=shares)
        drawn.append(_figure(", ".join(values), svg, note))
    for distance in map(score_of, headline_distance(defined)):
        values = {distance.label: scores[distance.name].tolist()}
        svg = figures.box_plot(values, distance.heading, unit_range=False)
        drawn.append(_figure(distance.label, svg, note))
    return drawn


def _reproduction(run: RunContents) -> dict[str, object]:
    """The commands that were run, in their order, and what they need."""
    environment = run.environment or {}
    entries = environment.get("invocations", [])
    commands = [str(entry["command"]) for entry in entries if entry.get("command")]
    notes = []
    lines = []
    if environment.get("git_commit"):
        lines.append(f"git checkout {environment['git_commit']}")
    if environment.get("git_uncommitted_changes"):
        notes.append("The checkout had uncommitted changes, which the commit does not hold.")
    if not commands:
        notes.append(
            "The command line was not recorded; the resolved configuration gives the same run."
        )
        commands = [f"lotus fit --config {shlex.quote(str(run.folder.config))}"]
    else:
        notes.append("Run in the folder the paths are relative to; give --run another name.")
    return {"commands": "\n".join([*lines, *commands]), "reproduce_notes": notes}


def _figure(title: str, svg: str, note: str) -> dict[str, str]:
    uri = pictures.data_uri(svg.encode("utf-8"), "image/svg+xml")
    return {"title": title, "uri": uri, "note": note}


def _has(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())


def lotus_version() -> str:
    """Version of the installed package, as reports say it."""
    try:
        return version("lotus-bone")
    except PackageNotFoundError:
        return "(not installed)"
