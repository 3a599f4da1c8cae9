"""Turn a data set's own layout into a manifest."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_modules.manifest import Record

OWN_IMAGES = "folder"
DATA_SETS = (OWN_IMAGES, "dsb2018", "deepliif", "nuinsseg", "bonesai")

_UNKNOWN = "unknown (give it with --pixel-size-um for µm)"
_MOST_SIZES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus prepare``."""
    from data_modules.manifest import MASK_KINDS
    from lotus.commands.mask_arguments import add_mask_values

    parser.add_argument("data_set", choices=DATA_SETS, help="layout of the data set")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for manifest.csv and converted masks"
    )
    parser.add_argument("--modality", help="modality of all images, e.g. sr_microct")
    parser.add_argument(
        "--patient-pattern",
        metavar="REGEX",
        help="finds the patient in an image's path, e.g. '(P[0-9]+)_'; default: the file name",
    )
    parser.add_argument("--pixel-size-um", type=float, metavar="X", help="edge of a pixel in µm")
    parser.add_argument(
        "--mask-kind",
        choices=MASK_KINDS,
        help="default: known from the data set, or seen in the masks",
    )
    add_mask_values(parser)
    own = parser.add_argument_group(f"of the data set {OWN_IMAGES}")
    own.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="the channel to take of every image, from 0 (of RGB red is 0, green 1)",
    )
    own.add_argument(
        "--roles",
        type=Path,
        metavar="FILE",
        help="YAML file of patterns of the names of drawings, and the class of --mask-values that "
        "each stands for, or ignore; default: the class of that name",
    )
    own.add_argument(
        "--line-width-px", type=float, metavar="PX", help="what drawn lines are as wide as"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the manifest and say what is in it.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: If the data set is not there.
        ValueError: If it cannot be used.
    """
    from data_modules.adapters.overrides import Overrides
    from data_modules.manifest import read_manifest
    from data_modules.mask_meaning import look_at_records
    from data_modules.splits import coverage
    from lotus.commands.mask_arguments import mask_values

    own = {name: getattr(arguments, name) for name in ("channel", "roles", "line_width_px")}
    given = [f"--{name.replace('_', '-')}" for name, value in own.items() if value is not None]
    if given and arguments.data_set != OWN_IMAGES:
        raise ValueError(f"{given[0]} is for the data set {OWN_IMAGES}; found {arguments.data_set}")
    overrides = Overrides(
        modality=arguments.modality,
        patient_pattern=arguments.patient_pattern,
        pixel_size_um=arguments.pixel_size_um,
        mask_kind=arguments.mask_kind,
        mask_values=mask_values(arguments),
        **own,
    )
    adapter = import_module(f"data_modules.adapters.{arguments.data_set}")
    manifest = adapter.prepare(arguments.root, arguments.output, overrides)
    records = read_manifest(manifest, check_files=False)
    modalities = Counter(record.modality for record in records)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(modalities.items()))
    unlabelled = sum(record.mask is None for record in records)
    print(f"{manifest}: {len(records)} images ({listed})")
    print(f"  patients: {len({record.patient for record in records})} ({coverage(records)})")
    meanings = look_at_records(records)
    for modality, meaning in meanings:
        of = f" of {modality}" if len(meanings) > 1 else ""
        print(f"  masks{of}: {meaning.text}; change with --mask-kind and --mask-values")
        for warning in meaning.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    if unlabelled:
        print(f"  images without a mask: {unlabelled}")
    print(f"  pixel size: {_pixel_sizes(records, arguments.pixel_size_um is not None)}")


def _pixel_sizes(records: Sequence[Record], is_given: bool) -> str:
    """The sizes, how many images have each, and where it is from."""
    from lotus.imaging.pixel_size import PixelSize, in_um
    from lotus.imaging.raster import read_pixel_size

    sizes: Counter[str] = Counter()
    for record in records:
        found: PixelSize | None
        if is_given and record.pixel_size_um is not None:
            found = PixelSize(record.pixel_size_um, record.pixel_size_um, "as given")
        else:
            found = read_pixel_size(record.image)
        sizes[_UNKNOWN if found is None else f"{in_um(found.spacing_um)} ({found.source})"] += 1
    listed = [f"{size} in {count} images" for size, count in sizes.most_common(_MOST_SIZES)]
    if len(sizes) > _MOST_SIZES:
        listed.append(f"{len(sizes) - _MOST_SIZES} more")
    return "; ".join(listed)
