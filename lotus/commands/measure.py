"""Measure segmented bone: volumes, or sections by histomorphometry, as tables and a report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.commands import measure_histomorphometry as histomorphometry
from lotus.commands.volume_arguments import (
    add_at_argument,
    add_classes_argument,
    add_voxel_size_argument,
)

if TYPE_CHECKING:
    from lotus.measurement.outputs import Measured
    from lotus.measurement.volume import LabelVolume


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus measure`, one subcommand per kind of measurement."""
    kinds = parser.add_subparsers(
        dest="kind", required=True, metavar=f"{{{','.join([*MEASUREMENTS, 'histomorphometry'])}}}"
    )
    for name, measurement in MEASUREMENTS.items():
        kind = kinds.add_parser(name, help=measurement.help, description=measurement.help)
        _add_shared_arguments(kind)
        measurement.add_arguments(kind)
        kind.set_defaults(run_kind=_measure_volume)
    sections = kinds.add_parser(
        "histomorphometry", help=histomorphometry.HELP, description=histomorphometry.HELP
    )
    histomorphometry.add_arguments(sections)
    sections.set_defaults(run_kind=histomorphometry.run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, write the folder and print its summary.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: What is to be measured is not there.
        ValueError: It cannot be measured so.
    """
    arguments.run_kind(arguments)


def _measure_volume(arguments: argparse.Namespace) -> None:
    from lotus.measurement.outputs import SUMMARY, read_summary, write_measured
    from lotus.measurement.volume import open_labels

    measurement = MEASUREMENTS[arguments.kind]
    against = None if arguments.against is None else read_summary(arguments.against)
    with open_labels(
        arguments.volume,
        voxel_size_um=arguments.voxel_size_um,
        classes=dict(arguments.classes),
        foreground=measurement.foreground(arguments),
        at=dict(arguments.at),
    ) as volume:
        measured = measurement.measure(volume, arguments)
    write_measured(arguments.output, measured, against)
    for warning in measured.warnings:
        print(f"WARNING: {warning}")
    for row in measured.measures:
        spread = "" if row.sd != row.sd else f" ± {row.sd:.4g}"
        print(f"{row.measure:<16} {row.value:.6g}{spread} {row.unit}".rstrip())
    print(f"with definitions: {arguments.output / SUMMARY}")


@dataclass(frozen=True)
class Measurement:
    """One subcommand for volumes.

    Attributes:
        help: What it measures, in a line.
        foreground: What the one value of a binary volume is; None: values are no classes.
        add_arguments: Declares what it takes besides the arguments that all take.
        measure: Measures a volume.
    """

    help: str
    foreground: Callable[[argparse.Namespace], str | None]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[LabelVolume, argparse.Namespace], Measured]


def _add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "volume",
        type=Path,
        metavar="VOLUME",
        help="label map or binary of any program: TIFF, OME-Zarr or a folder of slices",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets the tables and the report"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="folder of another measured volume, such as of the truth: against.csv and the report "
        "have the measures side by side",
    )
    add_voxel_size_argument(parser, "without either, everything is in voxels")
    add_at_argument(parser)
    add_classes_argument(parser, "a binary needs none")
    parser.add_argument(
        "--thickness-convention",
        choices=("surface", "centre"),
        default="surface",
        help="diameters up to the surface of voxels, where a plate of one voxel is one voxel thick "
        "(default), or up to the centres of the voxels outside, as BoneJ",
    )


def _no_further_arguments(_: argparse.ArgumentParser) -> None:
    pass


def _trabecular(volume: LabelVolume, arguments: argparse.Namespace) -> Measured:
    from lotus.measurement.trabecular import measure_trabecular

    return measure_trabecular(volume, arguments.thickness_convention)


def _add_lcn_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--canaliculus-um",
        type=float,
        metavar="DIAMETER",
        help="what of the network is thinner is a canaliculus, what is thicker a lacuna (default: "
        "0.8; without a voxel size they are not told apart)",
    )
    parser.add_argument(
        "--minimum-voxels",
        type=int,
        default=100,
        metavar="N",
        help="cells and lacunae of fewer voxels are left out (default: %(default)s)",
    )


def _porosity(volume: LabelVolume, arguments: argparse.Namespace) -> Measured:
    from lotus.measurement.lcn import lcn_of
    from lotus.measurement.porosity import measure_porosity

    lcn = lcn_of(volume, arguments.canaliculus_um, arguments.minimum_voxels)
    return measure_porosity(lcn, arguments.thickness_convention, arguments.output)


def _add_lacuna_arguments(parser: argparse.ArgumentParser) -> None:
    _add_lcn_arguments(parser)
    parser.add_argument(
        "--instances",
        action="store_true",
        help="each value of the volume is a lacuna of its own, as of StarDist or Cellpose",
    )


def _lacunae(volume: LabelVolume, arguments: argparse.Namespace) -> Measured:
    from lotus.measurement.labelled_lacunae import LabelledLacunae
    from lotus.measurement.lacunae import measure_lacunae
    from lotus.measurement.lcn import lcn_of

    if arguments.instances:
        return measure_lacunae(LabelledLacunae(volume, 0.0, arguments.minimum_voxels))
    return measure_lacunae(lcn_of(volume, arguments.canaliculus_um, arguments.minimum_voxels))


MEASUREMENTS = {
    "trabecular": Measurement(
        "BV/TV, BS, Tb.Th, Tb.Sp, Tb.N, Conn.D and DA of trabecular bone",
        lambda _: "bone",
        _no_further_arguments,
        _trabecular,
    ),
    "porosity": Measurement(
        "porosity, cells, thickness, canaliculi and nodes of a lacuna-canalicular network (LCN)",
        lambda _: "lcn",
        _add_lcn_arguments,
        _porosity,
    ),
    "lacunae": Measurement(
        "number, volume, shape and canaliculi of osteocyte lacunae",
        lambda arguments: None if arguments.instances else "lcn",
        _add_lacuna_arguments,
        _lacunae,
    ),
}
