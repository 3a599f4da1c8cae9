"""Tables of the report: scores, data, splits, configuration and environment, as text cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lotus.metrics.catalogue import headlines, score_names, score_of

SPLIT_NAMES = ("train", "val", "test", "predict")
SAID_ELSEWHERE = ("phantom", "manifest_hash", "split_source")
LONGEST_CELL = 160
TRAINER_KEYS = (
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "precision",
    "max_epochs",
    "max_steps",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "deterministic",
)


@dataclass(frozen=True)
class Table:
    """Cells of a plain table."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """One line of the score table; `defined` and `undefined` count images."""

    label: str
    meaning: str
    mean_sd: str
    median: str
    defined: int
    undefined: int


def score_table(scores: pd.DataFrame) -> list[ScoreRow]:
    """Mean, sample standard deviation and median over the images in which a score is defined."""
    rows = []
    for column in score_names(scores):
        score = score_of(column)
        values = scores[column].to_numpy(dtype=float)
        defined = values[np.isfinite(values)]
        rows.append(
            ScoreRow(
                label=score.heading,
                meaning=score.meaning,
                mean_sd=_mean_and_deviation(defined, score.decimals),
                median=f"{np.median(defined):.{score.decimals}f}" if defined.size else "undefined",
                defined=int(defined.size),
                undefined=int(values.size - defined.size),
            )
        )
    return rows


def score_note(scores: pd.DataFrame) -> str:
    """What the counts under the score table mean."""
    note = (
        f"Over {len(scores)} images; SD is that of the sample (n − 1). An undefined score is "
        "left out of mean and median, and counted."
    )
    if "undefined" not in scores:
        return note
    counts = scores["undefined"].fillna(0)
    return (
        f"{note} Undefined scores and Hausdorff distances replaced by the image diagonal: "
        f"{int(counts.sum())}, in {int((counts > 0).sum())} of the images."
    )


def image_table(scores: pd.DataFrame) -> Table:
    """One row per image, the worst by Dice (or the first headline there is) first."""
    columns = score_names(scores)
    names = {
        key: head for key, head in (("name", "image"), ("patient", "patient")) if key in scores
    }
    order = next(iter(headlines(scores)), "name")
    lowest_first = not score_of(order).lower_is_better
    ranked = scores.sort_values(order, ascending=lowest_first, kind="stable", na_position="first")
    rows = [
        [str(row[key]) for key in names] + [score_text(key, row[key]) for key in columns]
        for _, row in ranked.iterrows()
    ]
    return Table([*names.values()] + [score_of(column).heading for column in columns], rows)


def score_text(column: str, value: Any) -> str:
    """A score as text: counts whole, others with their decimals, NaN as `undefined`."""
    number = float(value)
    if not math.isfinite(number):
        return "undefined"
    score = score_of(column)
    return f"{number:.{0 if score.unit == 'count' else score.decimals}f}"


def split_table(splits: Mapping[str, Any]) -> Table:
    """Number and names of the patients of every split."""
    rows = [
        [name, str(len(splits[name])), _text(splits[name])]
        for name in SPLIT_NAMES
        if isinstance(splits.get(name), list)
    ]
    facts = [
        f"{label} {_text(splits[key])[:12]}"
        for key, label in (("source", "source:"), ("seed", "seed"), ("manifest_hash", "manifest"))
        if splits.get(key) is not None
    ]
    caption = "Split by patient, jointly over modalities"
    return Table(["split", "patients", "names"], rows, "; ".join([caption, *facts]) + ".")


def data_parts(summary: Mapping[str, Any]) -> list[tuple[str, list[Table]]]:
    """Tables of a data module's summary, for each of its parts.

    What differs between splits stands in one column per split; the rest in rows.

    Args:
        summary: Of a data module; the summaries under `parts` are parts of their own. Those of
            older runs are there by the names `student` and `teacher`.

    Returns:
        Title (empty for what belongs to no part) and tables of every part.
    """
    rest = dict(summary)
    parts = rest.pop("parts", None)
    if parts is None:
        parts = {name: rest.pop(name) for name in ("student", "teacher") if name in rest}
    found = [
        (name.replace("_", " ").capitalize(), _part_tables(part))
        for name, part in (("", rest), *parts.items())
    ]
    return [(title, part) for title, part in found if part]


def _part_tables(summary: Mapping[str, Any]) -> list[Table]:
    plain: list[list[str]] = []
    by_split: dict[str, dict[str, str]] = {}
    for path, value in _leaves(summary):
        if path[-1] in SAID_ELSEWHERE:
            continue
        split = next((name for name in path if name in SPLIT_NAMES), None)
        words = [part.replace("_", " ") for part in path if part not in ("splits", split)]
        if split is None:
            plain.append([": ".join(words), _text(value)])
        else:
            by_split.setdefault(": ".join(words), {})[split] = _text(value)
    used = [name for name in SPLIT_NAMES if any(name in row for row in by_split.values())]
    rows = [[name, *(row.get(split, "0") for split in used)] for name, row in by_split.items()]
    tables = [Table(["property", "value"], plain)] if plain else []
    return [*tables, Table(["", *used], rows)] if rows else tables


def model_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a task says of its network, such as where its weights come from; unset is left out."""
    return [
        (name.replace("_", " "), f"{value:,}" if type(value) is int else _text(value))
        for name, value in summary.items()
        if value is not None
    ]


def configuration_groups(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The settings that define a run, grouped: task, data, trainer; unset ones are left out."""
    trainer = {key: config.get("trainer", {}).get(key) for key in TRAINER_KEYS}
    rest = {"seed": config.get("seed_everything"), "checkpoint": config.get("ckpt_path")}
    groups = {
        "Task": config.get("model"),
        "Data": config.get("data"),
        "Optimisation": {key: config.get(key) for key in ("optimizer", "lr_scheduler")},
        "Trainer": {**rest, **trainer},
    }
    titled = []
    for title, content in groups.items():
        pairs = [
            (".".join(path) or "class", _text(value))
            for path, value in _leaves(_without_wrapping(content or {}))
            if value is not None
        ]
        if pairs:
            titled.append((title, pairs))
    return titled


def duration_text(seconds: float | None) -> str:
    """Seconds as `3 h 5 min`, `12 min 4 s` or `8.2 s`."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _mean_and_deviation(values: np.ndarray[Any, np.dtype[np.float64]], digits: int) -> str:
    if values.size == 0:
        return "undefined"
    if values.size == 1:
        return f"{values[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def _without_wrapping(tree: Any) -> Any:
    """A configuration with `init_args` lifted and `class_path` as the last part of its name."""
    if not isinstance(tree, Mapping):
        return tree
    lifted: dict[str, object] = {}
    for key, value in tree.items():
        if key == "class_path":
            lifted[""] = str(value).rsplit(".", 1)[-1]
        elif key in ("init_args", "dict_kwargs") and isinstance(value, Mapping):
            lifted.update(_without_wrapping(value))
        else:
            lifted[str(key)] = _without_wrapping(value)
    return lifted


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is not a dict, with the keys that lead to it."""
    if not isinstance(tree, Mapping):
        yield path, tree
        return
    for key, value in tree.items():
        yield from _leaves(value, (*path, str(key)) if key != "" else path)


def _text(value: Any) -> str:
    """A value as a reader would write it, cut where it is very long."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        text = ", ".join(_text(_class_name(item)) for item in value)
    else:
        text = "unknown" if value is None else str(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + " …"


def _class_name(item: Any) -> Any:
    """Name of the class of a configured object in a list; other items as they are."""
    if isinstance(item, Mapping) and "class_path" in item:
        return str(item["class_path"]).rsplit(".", 1)[-1]
    return item
