"""Where a classifier looks: GradCAM of test patches, and how plausible and faithful it is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Hashable, Mapping
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lotus.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from lotus.inference.classifier import TrainedClassifier
    from lotus.inference.explanation import ExplanationSettings
    from lotus.training.chosen_patches import ChosenPatches

SHOWN = 36
"""Patches on the sheet, unless there are more patients."""


class _Part(NamedTuple):
    """A trained classifier and its patches, with what tells their names from another seed's."""

    classifier: TrainedClassifier
    patches: ChosenPatches
    suffix: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus explain`."""
    parser.add_argument(
        "run", type=Path, help="folder of a classification, or of all its folds or seeds"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of the results (default: RUN/explained)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help="another run on the same patches: both are explained, and tested over patients",
    )
    parser.add_argument(
        "--layer", metavar="NAME", help="layer of GradCAM (default: the map that the head reads)"
    )
    parser.add_argument(
        "--class",
        dest="explained",
        choices=("predicted", "true"),
        default="predicted",
        help="which class is explained (%(default)s)",
    )
    parser.add_argument(
        "--patches",
        type=int,
        default=20,
        metavar="N",
        help="test patches per patient, those of slices with a mask first (%(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=10, help="points of deletion and insertion (%(default)s)"
    )
    parser.add_argument(
        "--percentages",
        type=int,
        nargs="+",
        default=[10, 30, 50, 70, 90],
        metavar="P",
        help="shares of pixels that ROAD imputes (10 30 50 70 90)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, help="perturbed patches at once (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides which patches (%(default)s)")
    parser.add_argument(
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, ..."
    )


def run(arguments: argparse.Namespace) -> None:
    """Explain, write tables and pictures, and print the summary.

    Raises:
        FileNotFoundError: A run or its data are not there.
        ValueError: A run or an option that cannot be used; says why.
    """
    from lotus.evaluation.explanation import compare_explanations
    from lotus.inference.explanation import ExplanationSettings
    from lotus.runs.explained import write_explained

    settings = ExplanationSettings(
        layer=arguments.layer,
        explained=arguments.explained,
        steps=arguments.steps,
        percentages=tuple(arguments.percentages),
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    output = RunFolder(arguments.output or RunFolder(arguments.run).explanation.path)
    parts = _open(arguments.run, arguments)
    names = [name for part in parts for name in part.patches.names]
    others = []
    if arguments.against is not None:
        others = _open(arguments.against, arguments, names)
        _refuse_other_patches(arguments.against, names, others)
    table = _explain(arguments.run, parts, output, settings)
    if arguments.against is not None:
        other = _explain(arguments.against, others, output.explained_other, settings)
        tests = compare_explanations(table, other)
        write_explained(tests, output.explained_against)
        print(f"\n{arguments.run} against {arguments.against}, paired over patients:")
        print(tests.to_string(index=False, float_format="{:.4f}".format))
    print(f"written to {output.path}")


def _open(
    folder: Path, arguments: argparse.Namespace, names: Collection[str] | None = None
) -> list[_Part]:
    """The classifiers of a run, or of all its folds or seeds, each with its patches."""
    from lotus.inference.classifier import load_classifier
    from lotus.training.chosen_patches import choose_test_patches

    own = RunFolder(folder)
    runs = [own] if own.config.is_file() else list(own.planned_folds())
    seeds = [] if runs else list(own.trained_seeds())
    if not runs and not seeds:
        raise FileNotFoundError(
            f"{folder} is neither a run nor has folds or seeds: no {own.config.name} in it"
        )
    opened = []
    for run in [*runs, *seeds]:
        classifier = load_classifier(run.path, arguments.device)
        patches = choose_test_patches(
            run,
            per_patient=arguments.patches,
            names=None if names is None else set(names),
            seed=arguments.seed,
            guide=classifier.guide,
        )
        # Seeds explain the same patches.
        opened.append(_Part(classifier, patches, f"_{run.path.name}" if seeds else ""))
    return opened


def _refuse_other_patches(folder: Path, names: list[str], others: list[_Part]) -> None:
    found = {name for part in others for name in part.patches.names}
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(
            f"{folder} does not test {len(missing)} of {len(names)} patches, first {missing[0]}; "
            "give a run on the same manifest, table of patches and split"
        )


def _explain(
    folder: Path,
    parts: list[_Part],
    output: RunFolder,
    settings: ExplanationSettings,
) -> pd.DataFrame:
    """Explain all patches of a run, and write what was found; the table of patches last."""
    import pandas as pd
    from tqdm import tqdm

    from lotus.evaluation.explanation import explained_patients, explained_summary
    from lotus.imaging.raster import write_image
    from lotus.inference.explanation import explain
    from lotus.reports.explanation import heat_overlay
    from lotus.runs.explained import write_explained

    _remove_earlier(output)
    rows: list[dict[str, Any]] = []
    total = sum(len(part.patches.names) for part in parts)
    with tqdm(total=total, desc=f"explaining {folder.name}", disable=None) as progress:
        for classifier, patches, suffix in parts:
            for patch in explain(classifier, patches.loader, patches.mask_of, settings):
                row = {**patch.row, "name": f"{patch.row['name']}{suffix}"}
                picture = heat_overlay(patch.image, patch.heat, patch.mask)
                write_image(output.overlay_of(row["name"]), picture)
                rows.append(row)
                progress.update()
    table = pd.DataFrame(rows)
    patients, summary = explained_patients(table), explained_summary(table)
    _write_sheet(table, output)
    _write_settings(folder, settings, output)
    write_explained(patients, output.explained_patients)
    write_explained(summary, output.explained_summary)
    write_explained(table, output.explained)
    _say(folder, table, patients, summary)
    return table


def _remove_earlier(output: RunFolder) -> None:
    """A table of an earlier call would stand beside other pictures."""
    for path in (output.explained, output.explained_summary, output.explained_against):
        path.unlink(missing_ok=True)
    for picture in output.overlay_of("any").parent.glob("*.png"):
        picture.unlink()


def _write_sheet(table: pd.DataFrame, output: RunFolder) -> None:
    from lotus.imaging.raster import read_image, write_image
    from lotus.reports.explanation import explanation_sheet, spread

    chosen = table.iloc[spread(table["patient"].tolist(), SHOWN)]
    pictures = [read_image(output.overlay_of(name)).array for name in chosen["name"]]
    captions = [
        f"{row['name']}: {row['group']}, seen as {row['explained']}{_said_of_map(row)}"
        for row in chosen.to_dict("records")
    ]
    write_image(output.explained_sheet, explanation_sheet(pictures, captions))


def _said_of_map(row: Mapping[Hashable, Any]) -> str:
    return ", empty map" if isnan(row["deletion"]) else f" ({row['probability']:.2f})"


def _write_settings(folder: Path, settings: ExplanationSettings, output: RunFolder) -> None:
    from lotus.atomic import atomic_path

    content = {"run": str(folder.absolute()), **asdict(settings)}
    with atomic_path(output.explained_settings) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _say(folder: Path, table: pd.DataFrame, patients: pd.DataFrame, summary: pd.DataFrame) -> None:
    from lotus.evaluation.explanation import COUNTS

    counts = patients[[*COUNTS]].sum()
    print(
        f"{folder}: {len(table)} patches of {len(patients)} patients. Pointing game and energy are "
        f"of the {counts['with_lacunae']} with lacunae; left out: {counts['without_lacunae']} "
        f"without, {counts['not_annotated']} of slices without a mask. "
        f"{counts['empty_map']} maps are 0 everywhere and have no score"
    )
    print(summary.to_string(index=False, float_format="{:.4f}".format))
    if not counts["with_lacunae"]:
        print("note: no explained patch has annotated lacunae", file=sys.stderr)
