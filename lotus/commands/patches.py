"""Choose the patches of slices that lie in their tissue, and write where they are."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.commands.engine_arguments import add_processes_argument

if TYPE_CHECKING:
    from data_modules.manifest import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus patches`."""
    parser.add_argument(
        "manifest", type=Path, help="manifest with the column tissue, as `lotus enhance` writes it"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets patches.csv"
    )
    parser.add_argument(
        "--modality", help="which modality; may be left out where one alone has the column tissue"
    )
    parser.add_argument(
        "--size", type=int, default=55, metavar="PX", help="side of a patch (%(default)s)"
    )
    parser.add_argument(
        "--stride",
        type=int,
        metavar="PX",
        help="from one patch to the next (the side: patches lie side by side)",
    )
    parser.add_argument(
        "--bone",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="least share of bone in a patch (%(default)s); a slice without one keeps its best",
    )
    parser.add_argument(
        "--slices-per-patient",
        type=int,
        metavar="N",
        help="only so many slices of a patient: annotated ones first, others evenly spread (all)",
    )
    add_processes_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the table of patches.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        ValueError: A value out of range, a manifest without masks of the tissue, or a slice that is
            smaller than a patch.
    """
    from tqdm import tqdm

    from data_modules.manifest import read_manifest
    from data_modules.patches import FILE, choose_patches, spread_slices, write_patches
    from lotus.process_pool import map_in_processes

    if not 0.0 <= arguments.bone <= 1.0:
        raise ValueError(f"--bone {arguments.bone:g}: take a share from 0 to 1")
    records = _of_modality(
        arguments.manifest, read_manifest(arguments.manifest), arguments.modality
    )
    if arguments.slices_per_patient is not None:
        records = spread_slices(records, arguments.slices_per_patient)
    stride = arguments.size if arguments.stride is None else arguments.stride
    choose = partial(
        choose_patches, size=arguments.size, stride=stride, minimum_fraction=arguments.bone
    )
    found = map_in_processes(choose, records, arguments.processes)
    progress = tqdm(found, "slices", len(records), delay=2.0, leave=False, disable=None)
    patches = list(zip(records, progress, strict=True))
    write_patches(arguments.output / FILE, patches)
    count = sum(len(own) for _, own in patches)
    people = len({record.patient for record in records})
    print(
        f"{count} patches of {arguments.size} px in {len(records)} slices of {people} patients: "
        f"{arguments.output / FILE}"
    )
    poor = [record.name for record, own in patches if own.bone_fraction.min() < arguments.bone]
    if poor:
        more = f" and {len(poor) - 1} more" if poor[1:] else ""
        print(
            f"{poor[0]}{more} of {len(records)} slices have no patch with {arguments.bone:.0%} "
            "bone: the best one is taken"
        )


def _of_modality(path: Path, records: list[Record], modality: str | None) -> list[Record]:
    """The records of the modality that was asked for, or of the only one with tissue."""
    found = sorted({record.modality for record in records})
    able = sorted({record.modality for record in records if record.tissue is not None})
    if modality is None and len(able) > 1:
        raise ValueError(
            f"{path}: several modalities have masks of their tissue: {', '.join(able)}; "
            "give --modality"
        )
    if modality is not None and modality not in found:
        raise ValueError(f"{path}: no image of modality '{modality}'; found {', '.join(found)}")
    if not able or modality not in (None, *able):
        raise ValueError(
            f"{path}: no image of {modality or ' or '.join(found)} has a mask of its tissue; "
            "`lotus enhance MANIFEST` finds bone and writes a manifest with the column tissue"
        )
    return [record for record in records if record.modality == (modality or able[0])]
