"""Turn a data set's own layout into a manifest."""

from __future__ import annotations

import argparse
from collections import Counter
from importlib import import_module
from pathlib import Path

DATA_SETS = ("folder", "dsb2018", "deepliif", "nuinsseg", "bonesai")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus prepare``."""
    from data_modules.manifest import MASK_KINDS

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
        help="default: known from the data set, or guessed from the masks",
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
    from data_modules.splits import coverage

    overrides = Overrides(
        modality=arguments.modality,
        patient_pattern=arguments.patient_pattern,
        pixel_size_um=arguments.pixel_size_um,
        mask_kind=arguments.mask_kind,
    )
    adapter = import_module(f"data_modules.adapters.{arguments.data_set}")
    manifest = adapter.prepare(arguments.root, arguments.output, overrides)
    records = read_manifest(manifest, check_files=False)
    modalities = Counter(record.modality for record in records)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(modalities.items()))
    kinds = " and ".join(sorted({record.mask_kind for record in records}))
    unlabelled = sum(record.mask is None for record in records)
    without_size = sum(record.pixel_size_um is None for record in records)
    print(f"{manifest}: {len(records)} images ({listed})")
    print(f"  patients: {len({record.patient for record in records})} ({coverage(records)})")
    print(f"  masks: {kinds}; change with --mask-kind. Images without a mask: {unlabelled}")
    if without_size:
        print(f"  no pixel size for {without_size} images; give it with --pixel-size-um for µm")
