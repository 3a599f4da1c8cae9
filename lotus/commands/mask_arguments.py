"""The arguments by which a command is told what the values of masks stand for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lotus.masks import MaskValues


def add_mask_values(parser: argparse.ArgumentParser, masks: str = "masks") -> None:
    """Declare ``--mask-values``, ``--ignore-value`` and ``--binarise-at``.

    Args:
        parser: Of the command.
        masks: Of which masks, for the help.
    """
    parser.add_argument(
        "--mask-values",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help=f"what the values of {masks} are, e.g. background=1 object=2, or the classes in "
        "order; default: 0 is background",
    )
    parser.add_argument(
        "--ignore-value",
        type=int,
        metavar="N",
        help=f"where {masks} have this value, pixels count neither in losses nor in scores",
    )
    parser.add_argument(
        "--binarise-at",
        type=float,
        metavar="T",
        help=f"{masks} are shades of one object, which is where they are at least T",
    )


def mask_values(arguments: argparse.Namespace) -> MaskValues:
    """What the arguments of :func:`add_mask_values` say.

    Raises:
        ValueError: They contradict each other.
    """
    from lotus.masks import MaskValues

    words = list(arguments.mask_values)
    words += [] if arguments.ignore_value is None else [f"ignore={arguments.ignore_value}"]
    words += [] if arguments.binarise_at is None else [f"binarise-at={arguments.binarise_at:g}"]
    return MaskValues.parse(" ".join(words))
