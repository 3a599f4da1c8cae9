"""Make synthetic bone images with exact ground truth and a manifest."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_modules.manifest import Record

NAMES = ("sr_microct", "histology", "fluorescence", "trichrome", "zernike_nanoct")
# Options that one phantom alone knows; they are None where nobody gave them.
OWN_OPTIONS = {
    "sr_microct": ("lacuna_contrast", "photons"),
    "zernike_nanoct": ("shape", "beamline", "binning", "test_share", "processes"),
}
GROUP_NAMES = ("healthy", "osteoporotic", "covid19")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments.

    Args:
        parser: The parser of this command.
    """
    parser.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=" or ".join(NAMES))
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--patients", type=int, help="number of patients (12; zernike_nanoct 1)")
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
        "--pixel-size-um", type=float, help="edge of a pixel (sr_microct 1.6, the others 1.0)"
    )
    parser.add_argument(
        "--cortical-share",
        type=float,
        default=0.3,
        help="sr_microct, histology: share of cortical slices, others trabecular (%(default)s)",
    )
    parser.add_argument(
        "--lacuna-contrast",
        type=float,
        help="sr_microct: depth of the lacunae, 1 is a void, 0.3 is faint (0.8)",
    )
    parser.add_argument(
        "--photons", type=float, help="sr_microct: photons per pixel, fewer is noisier (900)"
    )
    _add_volume_arguments(parser)


def _add_volume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        type=int,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="zernike_nanoct: voxels of a volume, one per patient (420 512 512)",
    )
    parser.add_argument(
        "--beamline",
        choices=("anatomix", "p05"),
        help="zernike_nanoct: ANATOMIX-like, 10 keV, 94 nm, or P05-like, 11 keV, 88 nm (anatomix)",
    )
    parser.add_argument(
        "--binning",
        type=int,
        metavar="N",
        help="zernike_nanoct: N x N detector pixels read out as one (as many as show the whole "
        "spine: 1 for 512 voxels, 4 for 128)",
    )
    parser.add_argument(
        "--test-share",
        type=float,
        metavar="SHARE",
        help="zernike_nanoct: share of each volume's slices, its last, that are for tests (0.2)",
    )
    parser.add_argument(
        "--processes", type=int, help="zernike_nanoct: parts of a volume worked on at a time (1)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the phantoms.

    Args:
        arguments: The parsed command line.

    Raises:
        ValueError: A value out of range, or one for a modality that is not made.
    """
    from data_modules.splits import coverage

    _refuse_options_of_others(arguments)
    writers = _writers(arguments)
    if arguments.output.exists() and not arguments.output.is_dir():
        raise ValueError(f"{arguments.output} is a file; --output is the folder to write into")
    for name in dict.fromkeys(arguments.names):
        records = writers[name](arguments.output)
    manifest = arguments.output / "manifest.csv"
    images = [record for record in records if record.slice_spacing_um is None]
    if images:
        print(f"{len(images)} images in {manifest} ({coverage(images)})")
    if volumes := {record.image for record in records if record.slice_spacing_um is not None}:
        print(f"{len(volumes)} volumes in {manifest}")


def _refuse_options_of_others(arguments: argparse.Namespace) -> None:
    for name, options in OWN_OPTIONS.items():
        given = [option for option in options if getattr(arguments, option) is not None]
        if given and name not in arguments.names:
            flags = ", ".join(f"--{option.replace('_', '-')}" for option in given)
            raise ValueError(f"{flags} is for {name}; name it or leave the option out")


def _writers(arguments: argparse.Namespace) -> dict[str, Callable[[Path], list[Record]]]:
    """What writes each phantom into a folder, as the command line sets it."""
    from data_modules.phantoms.fluorescence import FluorescenceConfig, simulate_fluorescence
    from data_modules.phantoms.groups import study_groups
    from data_modules.phantoms.histology import HistologyConfig, simulate_histology
    from data_modules.phantoms.sr_microct import SRMicroCTConfig, simulate_sr_microct
    from data_modules.phantoms.trichrome import TrichromeConfig, simulate_trichrome
    from data_modules.phantoms.write import Cohort, write_phantoms

    cohort = Cohort(
        12 if arguments.patients is None else arguments.patients,
        arguments.slices,
        arguments.seed,
        arguments.labelled_slices,
        study_groups(arguments.groups, arguments.differ, arguments.effect),
    )
    frame = {"size": arguments.size}
    if arguments.pixel_size_um is not None:
        frame["pixel_size_um"] = arguments.pixel_size_um
    section = {**frame, "cortical_share": arguments.cortical_share}
    scan = _given(arguments, "sr_microct")
    ct = SRMicroCTConfig(section=replace(SRMicroCTConfig().section, **section), **scan)
    slide = HistologyConfig(section=replace(HistologyConfig().section, **section))
    labelled, stained = FluorescenceConfig(**frame), TrichromeConfig(**frame)
    images = {
        "sr_microct": ("ct", lambda patient, rng: simulate_sr_microct(patient, ct, rng)),
        "histology": ("he", lambda patient, rng: simulate_histology(patient, slide, rng)),
        "fluorescence": ("fl", lambda patient, rng: simulate_fluorescence(patient, labelled, rng)),
        "trichrome": ("tc", lambda patient, rng: simulate_trichrome(patient, stained, rng)),
    }
    writers: dict[str, Callable[[Path], list[Record]]] = {
        name: partial(write_phantoms, name, suffix, simulate, cohort)
        for name, (suffix, simulate) in images.items()
    }
    return writers | {"zernike_nanoct": _volume_writer(arguments)}


def _volume_writer(arguments: argparse.Namespace) -> Callable[[Path], list[Record]]:
    from data_modules.phantoms.write_volumes import write_volumes
    from data_modules.phantoms.zernike_nanoct import ZernikeConfig
    from data_modules.phantoms.zernike_volume import Specimens

    given = _given(arguments, "zernike_nanoct")
    processes, test_share = given.pop("processes", 1), given.pop("test_share", 0.2)
    if "shape" in given:
        given["shape"] = tuple(given["shape"])
    count = 1 if arguments.patients is None else arguments.patients
    specimens = Specimens(ZernikeConfig(**given), count, arguments.seed, test_share)
    return partial(write_volumes, specimens, processes=processes)


def _given(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """The options of one phantom that were given."""
    values = {option: getattr(arguments, option) for option in OWN_OPTIONS[name]}
    return {option: value for option, value in values.items() if value is not None}
