"""Clean a segmented volume: shade-off becomes bone, gaps close, islands go, the rest is cropped."""

from __future__ import annotations

import argparse
from pathlib import Path

from lotus.commands.volume_arguments import (
    add_at_argument,
    add_classes_argument,
    add_voxel_size_argument,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus clean`."""
    parser.add_argument(
        "volume",
        type=Path,
        metavar="VOLUME",
        help="label map of any program: TIFF, OME-Zarr or a folder of slices",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="an .ome.zarr or .ome.tif, of the same values"
    )
    add_classes_argument(parser, "default: those that an OME-Zarr states")
    add_voxel_size_argument(parser, "without either, the cleaned volume has none")
    add_at_argument(parser)
    parser.add_argument(
        "--closing-px",
        type=int,
        default=1,
        metavar="N",
        help="radius in voxels of the ball that closes gaps of pores; 0: none (default 1)",
    )
    parser.add_argument(
        "--minimum-voxels",
        type=int,
        default=100,
        metavar="N",
        help="pores of fewer voxels, 26-connected, become bone (default 100)",
    )
    parser.add_argument(
        "--keep-fragments",
        action="store_true",
        help="keep what is not connected to the greatest body of bone and pores",
    )
    parser.add_argument(
        "--no-crop", action="store_true", help="keep slices, rows and columns of background alone"
    )


def run(arguments: argparse.Namespace) -> None:
    """Clean the volume and say what was done.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: The volume is not there, or a slice of it is missing.
        ValueError: It cannot be cleaned so.
    """
    from lotus.measurement.cleaning import clean_volume, pore_cleaning
    from lotus.measurement.volume import open_labels

    with open_labels(
        arguments.volume,
        voxel_size_um=arguments.voxel_size_um,
        classes=dict(arguments.classes) or None,
        at=dict(arguments.at),
    ) as volume:
        cleaning = pore_cleaning(
            volume,
            closing_radius=arguments.closing_px,
            minimum_size=arguments.minimum_voxels,
            keep_fragments=arguments.keep_fragments,
        )
        cleaned = clean_volume(volume, arguments.output, cleaning, crop=not arguments.no_crop)
        whole = " x ".join(map(str, volume.shape))
    if cleaning.merged:
        print("shade-off became bone")
    print(
        f"{cleaned.removed_pores} pores of fewer than {cleaning.minimum_size} voxels became bone, "
        f"{cleaned.removed_fragments} bodies beside the greatest one background"
    )
    if not arguments.no_crop:
        box = ", ".join(f"{side.start} to {side.stop}" for side in cleaned.box)
        print(f"of {whole} voxels (Z, Y, X) those from {box} are left")
    print(f"written to {arguments.output}")
