"""Score a folder of masks or label maps against a folder of true ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lotus.commands.engine_arguments import add_processes_argument
from lotus.commands.mask_arguments import add_mask_values, mask_values
from lotus.evaluation.choices import Kind

if TYPE_CHECKING:
    from lotus.masks import Meaning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus evaluate`."""
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="DIR", help="predicted label files"
    )
    parser.add_argument(
        "--targets", type=Path, required=True, metavar="DIR", help="true label files, same stems"
    )
    parser.add_argument(
        "--kind",
        choices=get_args(Kind),
        required=True,
        help="binary: anything non-zero; semantic: one class of several; "
        "instances: label maps as they are",
    )
    parser.add_argument(
        "--class", type=int, dest="class_index", metavar="K", help="class of semantic masks, from 1"
    )
    add_mask_values(parser, "true masks")
    parser.add_argument(
        "--prediction-values",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="what the values of predicted masks are, also binarise-at=T; default: 0 is background",
    )
    parser.add_argument(
        "--pixel-size-um", type=float, metavar="X", help="add Hausdorff distances in µm"
    )
    parser.add_argument(
        "--compat",
        choices=("lotus2024",),
        help="append the scores as the 2024 LOTUS evaluation computed them, under its name",
    )
    add_processes_argument(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="CSV", help="table of scores to write"
    )


def run(arguments: argparse.Namespace) -> None:
    """Say what the masks mean, score, write the table and print the means.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If files do not fit together, masks can be read in two ways, or options do not
            fit the kind.
    """
    from lotus.evaluation.folders import evaluate_folders, pooled_panoptic_quality
    from lotus.evaluation.mask_meaning import look_at_folders
    from lotus.masks import MaskValues
    from lotus.metrics.functional import lotus2024_scores
    from lotus.runs.scores import write_scores

    if arguments.kind == "semantic" and arguments.class_index is None:
        raise ValueError("--kind semantic scores one class; say which with --class K, from 1 up")
    folders = (arguments.predictions, arguments.targets)
    true_values = mask_values(arguments)
    predicted_values = MaskValues.parse(" ".join(arguments.prediction_values))
    meanings = look_at_folders(
        *folders, arguments.kind, true_values, predicted_values, processes=arguments.processes
    )
    _say(meanings)
    scores = evaluate_folders(
        *folders,
        kind=arguments.kind,
        target_values=true_values,
        prediction_values=predicted_values,
        class_index=arguments.class_index,
        pixel_size_um=arguments.pixel_size_um,
        extra_scores=lotus2024_scores if arguments.compat == "lotus2024" else None,
        processes=arguments.processes,
    )
    write_scores(scores, arguments.output)

    mean = scores.iloc[-1]
    print(f"{len(scores) - 1} images, mean of the defined scores:")
    for score in scores.columns.drop(["name", "undefined"]):
        print(f"  {score:<24} {mean[score]:10.4f}")
    print(f"  pq pooled over all instances: {pooled_panoptic_quality(scores).pq:.4f}")
    print(
        f"  undefined scores (left out, or Hausdorff set to the diagonal): {mean['undefined']:.0f}"
    )
    print(f"written to {arguments.output}")


def _say(meanings: dict[str, Meaning]) -> None:
    """Print what each folder's masks mean, and what they may mean otherwise."""
    for name, meaning in meanings.items():
        print(f"{name}: {meaning.text}")
        for warning in meaning.warnings:
            print(f"warning: {warning}", file=sys.stderr)
