"""Score a segmented volume against the true one, class by class."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from lotus.commands.volume_arguments import add_classes_argument, class_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus evaluate-volume`."""
    parser.add_argument("prediction", type=Path, metavar="VOLUME", help="segmented volume")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="true labels of the same voxels")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="CSV", help="table of scores to write"
    )
    add_classes_argument(parser, "default: those that an OME-Zarr states")
    parser.add_argument(
        "--true-classes",
        type=class_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="of the true labels, where they are others (default: --classes)",
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        default=[],
        metavar="NAME=NAME",
        help="classes that count as another one in both, such as shade_off=bone",
    )
    parser.add_argument(
        "--slices",
        type=int,
        nargs=2,
        metavar=("START", "STOP"),
        help="only those from START to before STOP, such as those that no network saw",
    )


def run(arguments: argparse.Namespace) -> None:
    """Score, write the table and print what holds for all voxels.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: A volume is not there.
        ValueError: The volumes, or their classes, do not go together.
    """
    from lotus.atomic import atomic_path
    from lotus.evaluation.volumes import score_volumes
    from lotus.measurement.volume import open_labels

    classes, true = dict(arguments.classes), dict(arguments.true_classes or arguments.classes)
    with (
        open_labels(arguments.prediction, classes=classes or None) as found,
        open_labels(arguments.truth, classes=true or found.classes) as wanted,
    ):
        if found.shape[0] != wanted.shape[0]:
            raise ValueError(
                f"{arguments.prediction} has {found.shape[0]} slices, {arguments.truth} "
                f"{wanted.shape[0]}; volumes of the same voxels are expected"
            )
        start, stop = arguments.slices or (0, found.shape[0])
        if not 0 <= start < stop <= found.shape[0]:
            raise ValueError(
                f"slices {start} to {stop} of {found.shape[0]}; START below STOP within them are "
                "expected"
            )
        scores = score_volumes(
            found.block,
            wanted.block,
            range(start, stop),
            predicted_values=_merged(found.classes, arguments.merge),
            true_values=_merged(wanted.classes, arguments.merge),
        )
    with atomic_path(arguments.output) as temporary:
        scores.to_csv(temporary, float_format="%.10g")
    print(f"{stop - start} slices, all voxels together:")
    for name, value in scores.loc["all"].items():
        print(f"  {name:<16} {value:.4f}")
    print(f"written to {arguments.output}")


def _merged(classes: Mapping[str, int], merge: list[str]) -> dict[str, list[int]]:
    """The values that stand for each class that is left."""
    if not classes:
        raise ValueError("nothing says what the values mean; give --classes such as lcn=1 bone=3")
    others = dict(pair.partition("=")[::2] for pair in merge)
    unknown = [name for pair in others.items() for name in pair if name not in classes]
    wrong = [other for other in others.values() if other in others]
    # A volume whose network joined the classes itself does not have the one that is merged.
    unknown = [name for name in unknown if name not in others]
    if unknown or wrong:
        raise ValueError(
            f"--merge {' '.join(merge)}: expected NAME=NAME of {', '.join(classes)}, of which the "
            "second stays"
        )
    found = {name: [value] for name, value in classes.items() if name not in others}
    for name, other in others.items():
        if name in classes:
            found[other].append(classes[name])
    return found
