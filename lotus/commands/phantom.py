"""Make synthetic bone images with exact ground truth and a manifest."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_modules.phantoms.write import Simulation

NAMES = ("sr_microct", "histology")
GROUP_NAMES = ("healthy", "osteoporotic", "covid19")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments.

    Args:
        parser: The parser of this command.
    """
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=" or ".join(NAMES))
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--patients", type=int, default=12, help="number of patients (%(default)s)")
    parser.add_argument("--slices", type=int, default=4, help="images per patient (%(default)s)")
    parser.add_argument("--size", type=int, default=512, help="edge in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files (%(default)s)")
    parser.add_argument(
        "--groups",
        nargs="+",
        choices=GROUP_NAMES,
        default=GROUP_NAMES,
        metavar="GROUP",
        help=f"groups that patients take turns in ({', '.join(GROUP_NAMES)})",
    )
    parser.add_argument(
        "--differ",
        choices=("all", "lacunae", "nothing"),
        default="all",
        help="in what groups differ: all; lacunae: their density, size and shape alone; nothing: "
        "a control (%(default)s)",
    )
    parser.add_argument(
        "--effect",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="how far groups are from healthy bone, 2 is twice as far as reported (%(default)s)",
    )
    parser.add_argument(
        "--labelled-slices",
        type=int,
        metavar="N",
        help="only the first N images of a patient have a mask in the manifest (all)",
    )
    parser.add_argument(
        "--pixel-size-um", type=float, help="edge of a pixel (sr_microct 1.6, histology 1.0)"
    )
    parser.add_argument(
        "--cortical-share",
        type=float,
        default=0.3,
        help="share of cortical slices, the rest is trabecular (%(default)s)",
    )
    parser.add_argument(
        "--lacuna-contrast",
        type=float,
        help="sr_microct: depth of the lacunae, 1 is a void, 0.3 is faint (0.8)",
    )
    parser.add_argument(
        "--photons", type=float, help="sr_microct: photons per pixel, fewer is noisier (900)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the phantoms.

    Args:
        arguments: The parsed command line.

    Raises:
        ValueError: A value out of range, or one for a modality that is not made.
    """
    from data_modules.phantoms.groups import study_groups
    from data_modules.phantoms.write import Cohort, write_phantoms
    from data_modules.splits import coverage

    cohort = Cohort(
        arguments.patients,
        arguments.slices,
        arguments.seed,
        arguments.labelled_slices,
        study_groups(arguments.groups, arguments.differ, arguments.effect),
    )
    simulations = _simulations(arguments)
    if arguments.output.exists() and not arguments.output.is_dir():
        raise ValueError(f"{arguments.output} is a file; --output is the folder to write into")
    for name in dict.fromkeys(arguments.names):
        suffix, simulate = simulations[name]
        records = write_phantoms(name, suffix, simulate, cohort, arguments.output)
    print(f"{len(records)} images in {arguments.output / 'manifest.csv'} ({coverage(records)})")


def _simulations(arguments: argparse.Namespace) -> dict[str, tuple[str, Simulation]]:
    """File suffix and simulation of every modality, as the command line sets them."""
    from data_modules.phantoms.histology import HistologyConfig, simulate_histology
    from data_modules.phantoms.sr_microct import SRMicroCTConfig, simulate_sr_microct

    section = {"size": arguments.size, "cortical_share": arguments.cortical_share}
    if arguments.pixel_size_um is not None:
        section["pixel_size_um"] = arguments.pixel_size_um
    scan = {
        name: value
        for name in ("lacuna_contrast", "photons")
        if (value := getattr(arguments, name)) is not None
    }
    if scan and "sr_microct" not in arguments.names:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in scan)
        raise ValueError(f"{flags} is for sr_microct; name it or leave the option out")
    ct = SRMicroCTConfig(section=replace(SRMicroCTConfig().section, **section), **scan)
    slide = HistologyConfig(section=replace(HistologyConfig().section, **section))
    return {
        "sr_microct": ("ct", lambda patient, rng: simulate_sr_microct(patient, ct, rng)),
        "histology": ("he", lambda patient, rng: simulate_histology(patient, slide, rng)),
    }
