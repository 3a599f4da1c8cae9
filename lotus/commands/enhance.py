"""Enhance SR-microCT slices: stretched contrast inside bone, nothing outside."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

_PADDING_WORDS: dict[str, Literal["auto", "none"]] = {"auto": "auto", "none": "none"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus enhance``."""
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="image, multi-page TIFF volume or folder of them"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="float32 TIFF in [0, 1], or a folder of them"
    )
    parser.add_argument("--mask", type=Path, help="also write the bone masks here (0 and 255)")
    parser.add_argument(
        "--cluster",
        choices=("brightest", "smallest"),
        default="brightest",
        help="k-means cluster that is bone in slices of negative grey values "
        "(smallest: as the original authors)",
    )
    parser.add_argument(
        "--opening-px",
        type=int,
        default=20,
        metavar="N",
        help="bone thinner than this is lost; take less for larger pixels (default 20)",
    )
    parser.add_argument(
        "--closing-px",
        type=int,
        default=25,
        metavar="N",
        help="gaps up to twice this width are closed (default 25)",
    )
    parser.add_argument(
        "--padding-value",
        type=padding_value,
        default="auto",
        metavar="{auto,none,NUMBER}",
        help="what slices hold outside the field of view, e.g. -32768; auto: a constant border "
        "around one convex field (default)",
    )


def padding_value(text: str) -> float | Literal["auto", "none"]:
    """Read ``--padding-value``.

    Args:
        text: ``auto``, ``none`` or a number.

    Raises:
        ValueError: If it is none of them.
    """
    return _PADDING_WORDS[text] if text in _PADDING_WORDS else float(text)


def run(arguments: argparse.Namespace) -> None:
    """Enhance every slice, one in memory at a time.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: If the input is not there.
        ValueError: If it cannot be used, or the output would overwrite it.
    """
    from lotus.transforms.enhance_files import enhance_files
    from lotus.transforms.enhancement import SRMicroCTEnhancement

    enhancement = SRMicroCTEnhancement(
        arguments.cluster,
        opening_px=arguments.opening_px,
        closing_px=arguments.closing_px,
        padding_value=arguments.padding_value,
    )
    enhanced = enhance_files(arguments.input, arguments.output, arguments.mask, enhancement)
    print(f"{enhanced.slices} slices of {enhanced.files} files enhanced to {arguments.output}")
    for value, count in sorted(enhanced.padded.items()):
        print(
            f"{count} slices have a constant border of {value:g}: left out as padding around the "
            "field of view; --padding-value says otherwise"
        )
    if enhanced.blank:
        print(
            f"{enhanced.blank} slices of volumes are blank (constant or without values): "
            "written as 0"
        )
