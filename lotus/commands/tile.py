"""Divide ROI images into tiles, leave out those that are nearly empty, and write where they are."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.commands.engine_arguments import add_processes_argument

if TYPE_CHECKING:
    from data_modules.manifest import Record

REGION = 448
MINIMUM_TISSUE = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus tile``."""
    parser.add_argument("manifest", type=Path, help="manifest of the ROI images")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets MODALITY.csv"
    )
    parser.add_argument(
        "--modality", nargs="+", metavar="NAME", help="which modalities (all), a table each"
    )
    parser.add_argument(
        "--region",
        type=int,
        default=REGION,
        metavar="PX",
        help="side of a region, which gives four quadrants and its centre (%(default)s: tiles of "
        "224)",
    )
    parser.add_argument(
        "--tissue",
        type=float,
        default=MINIMUM_TISSUE,
        metavar="SHARE",
        help="least share of tissue in a tile (%(default)s); a ROI without one keeps its best",
    )
    add_processes_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write a table of tiles for every modality.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        ValueError: A value out of range, an unknown modality, or a ROI smaller than a tile.
    """
    from data_modules.manifest import read_manifest

    if not 0.0 <= arguments.tissue <= 1.0:
        raise ValueError(f"--tissue {arguments.tissue:g}: take a share from 0 to 1")
    if arguments.region < 2 or arguments.region % 2:
        raise ValueError(f"--region {arguments.region}: take an even number, twice the tile")
    records = read_manifest(arguments.manifest)
    found = sorted({record.modality for record in records})
    for modality in arguments.modality or found:
        if modality not in found:
            raise ValueError(
                f"{arguments.manifest}: no image of modality '{modality}'; found {', '.join(found)}"
            )
    for modality in dict.fromkeys(arguments.modality or found):
        _write(arguments, modality, [r for r in records if r.modality == modality])


def _write(arguments: argparse.Namespace, modality: str, records: list[Record]) -> None:
    """Write the table of one modality and say what is in it."""
    from tqdm import tqdm

    from data_modules.patches import write_patches
    from data_modules.tiles import tiles_of
    from lotus.imaging.raster import read_size
    from lotus.process_pool import map_in_processes
    from lotus.transforms.tiles import tile_corners

    choose = partial(tiles_of, region=arguments.region, minimum_tissue=arguments.tissue)
    chosen = map_in_processes(choose, records, arguments.processes, items_per_process=20)
    progress = tqdm(chosen, modality, len(records), delay=2.0, leave=False, disable=None)
    tiles = list(zip(records, progress, strict=True))
    path = arguments.output / f"{modality}.csv"
    write_patches(path, tiles)
    count = sum(len(own) for _, own in tiles)
    everything = sum(
        len(tile_corners(*read_size(record.image), region=arguments.region)) for record in records
    )
    people = len({record.patient for record in records})
    print(
        f"{path}: {count} tiles of {arguments.region // 2} px in {len(records)} ROIs of {people} "
        f"patients; {everything - count} nearly empty ones left out"
    )
