"""`--voxel-size-um` and `--at`, for every command that takes a volume."""

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
