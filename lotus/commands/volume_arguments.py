"""`--voxel-size-um`, `--classes` and `--at`, for every command that takes a volume."""

from __future__ import annotations

import argparse


def add_voxel_size_argument(parser: argparse._ActionsContainer, otherwise: str) -> None:
    """Declare the size of a voxel.

    Args:
        parser: Parser of the command, or a group of it.
        otherwise: What happens where neither it nor the file says one.
    """
    parser.add_argument(
        "--voxel-size-um",
        type=float,
        nargs="+",
        metavar="SIZE",
        help=f"Z Y X, or one number for all; goes before what the file states ({otherwise})",
    )


def add_classes_argument(parser: argparse._ActionsContainer, otherwise: str) -> None:
    """Declare which value of a label map is which class.

    Args:
        parser: Parser of the command, or a group of it.
        otherwise: What holds where none is named.
    """
    parser.add_argument(
        "--classes",
        type=class_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help=f"such as lcn=1 shade_off=2 bone=3 ({otherwise})",
    )


def class_value(text: str) -> tuple[str, int]:
    """Read one pair of ``--classes``.

    Args:
        text: Such as ``lcn=1``.

    Raises:
        argparse.ArgumentTypeError: It is no known class with a whole number.
    """
    from lotus.measurement.volume import CLASS_NAMES

    name, _, value = text.partition("=")
    if name not in CLASS_NAMES or not value.isdigit():
        raise argparse.ArgumentTypeError(
            f"{text} is no class with its value; give such as {CLASS_NAMES[0]}=1, of "
            f"{', '.join(CLASS_NAMES)}"
        )
    return name, int(value)


def add_at_argument(parser: argparse._ActionsContainer) -> None:
    """Declare which volume of an OME-Zarr with more axes is meant.

    Args:
        parser: Parser of the command, or a group of it.
    """
    parser.add_argument(
        "--at",
        type=axis_index,
        nargs="+",
        default=[],
        metavar="AXIS=INDEX",
        help="which volume of an OME-Zarr with several times or channels, such as c=1 t=0",
    )


def axis_index(text: str) -> tuple[str, int]:
    """Read one pair of ``--at``.

    Args:
        text: Such as ``c=1``.

    Raises:
        argparse.ArgumentTypeError: It is no axis with an index.
    """
    name, _, index = text.partition("=")
    if not name or not index.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no axis with an index from 0, such as c=1")
    return name.lower(), int(index)
