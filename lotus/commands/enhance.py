"""Enhance SR-microCT slices: stretched contrast inside bone, nothing outside."""

from __future__ import annotations

import argparse
from pathlib import Path


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
        arguments.cluster, opening_px=arguments.opening_px, closing_px=arguments.closing_px
    )
    enhanced = enhance_files(arguments.input, arguments.output, arguments.mask, enhancement)
    print(f"{enhanced.slices} slices of {enhanced.files} files enhanced to {arguments.output}")
    if enhanced.blank:
        print(
            f"{enhanced.blank} slices of volumes are blank (constant or without values): "
            "written as 0"
        )
