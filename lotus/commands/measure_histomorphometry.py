"""`lotus measure histomorphometry`: static and dynamic histomorphometry of class maps."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from lotus.measurement.class_map_files import MapFile, MapSettings
    from lotus.measurement.histomorphometry import Region

HELP = "BV/TV, OS/BS, O.Th, MS/BS, MAR, BFR and others of sections, per region and per case (ASBMR)"
_SECTION_FACTORS = ("isotropic", "iliac")
_SHOWN = ("BV/TV (%)", "OS/BS (%)", "O.Th (um)", "MS/BS (%)", "MAR (um/d)", "BFR/BS (um3/um2/yr)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: Of the subcommand.
    """
    parser.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="class map (TIFF, PNG) of any program, a folder of them, or one of `lotus segment`; a "
        "manifest means its masks; with --roles drawings: ImageJ ROIs (.roi, .zip), QuPath's "
        "GeoJSON, or a folder of them",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets the tables and the report"
    )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        metavar="SIZE",
        help="edge of a pixel; goes before what files state, and is needed where they state none",
    )
    parser.add_argument(
        "--classes",
        type=_class_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="what values of the map stand for, such as mineralised=1 osteoid=2 label1=3 label2=4 "
        "(label1 is the older; label: either), also transition and outside; 0 is the rest",
    )
    parser.add_argument(
        "--roles",
        type=Path,
        metavar="YAML",
        help="INPUT is drawings: patterns of their names and the role of each, such as "
        '"dL*": double_label',
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="TABLE",
        help="CSV with the columns roi, case, or a manifest (default: the patients where INPUT is "
        "one, else each region is a case)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        nargs="*",
        default=[],
        metavar="PATH",
        help="the same regions measured otherwise: another DIR, or tables with the column roi or "
        "image, such as truth.csv of phantoms; gives against.csv",
    )
    _add_conventions(parser)


def _add_conventions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interlabel-days",
        type=float,
        metavar="DAYS",
        help="between the midpoints of the labellings: 15 for the schedule 3-12-3 (no MAR without)",
    )
    parser.add_argument(
        "--section-factor",
        choices=_SECTION_FACTORS,
        default="isotropic",
        help="4/π (default), or 1.2 of human iliac bone",
    )
    parser.add_argument(
        "--transition",
        choices=("mineralised", "osteoid", "own"),
        default="mineralised",
        help="what the zone between osteoid and mineralised bone counts as; own: bone, but neither "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--impute-mar",
        action="store_true",
        help="0.3 µm/d where there are single labels alone, flagged in the tables (default: MAR is "
        "not defined there)",
    )
    parser.add_argument(
        "--largest-interlabel-um",
        type=float,
        default=60.0,
        metavar="WIDTH",
        help="labels further apart are no double label (default: %(default)g)",
    )
    parser.add_argument(
        "--smallest-hole-um2",
        type=float,
        default=300.0,
        metavar="AREA",
        help="smaller holes of bone, such as lacunae, are filled, and smaller islands left out "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--widest-crack-um",
        type=float,
        default=5.0,
        metavar="WIDTH",
        help="narrower cracks and slits of bone are closed (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure, write the folder and print the cases.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: What is to be measured is not there.
        ValueError: It cannot be measured so.
    """
    from tqdm import tqdm

    from lotus.measurement.class_map_files import MapSettings
    from lotus.measurement.histomorphometry import Conventions
    from lotus.measurement.histomorphometry_against import read_other
    from lotus.measurement.histomorphometry_outputs import REGIONS, HistomorphometryWriter
    from lotus.measurement.region_files import read_cases
    from lotus.morphometry.histomorphometry import SectionFactor

    conventions = Conventions(
        SectionFactor[arguments.section_factor.upper()],
        arguments.interlabel_days,
        arguments.impute_mar,
        arguments.transition,
    )
    settings = MapSettings(
        conventions,
        arguments.pixel_size_um,
        arguments.largest_interlabel_um,
        arguments.smallest_hole_um2,
        arguments.widest_crack_um,
    )
    if arguments.cases is None and _is_manifest(arguments.input):
        arguments.cases = arguments.input
    cases = None if arguments.cases is None else read_cases(arguments.cases)
    others = {str(path): read_other(path, REGIONS) for path in arguments.against}
    regions, total = _regions(arguments, settings, cases)
    writer = HistomorphometryWriter(arguments.output, conventions, others)
    for region in tqdm(regions, total=total, unit="ROI", delay=2.0, leave=False, disable=None):
        writer.add(region)
    table = writer.finish()
    if cases is None:
        print("each region is a case of its own; --cases says which belong together")
    _print_cases(table)
    for warning in writer.warnings:
        print(f"WARNING: {warning}")
    print(f"section factor {arguments.section_factor}; tables and report: {arguments.output}")


def _regions(
    arguments: argparse.Namespace, settings: MapSettings, cases: Mapping[str, str] | None
) -> tuple[Iterator[Region], int]:
    """What is measured, and how many there are."""
    from lotus.imaging.drawing_roles import read_roles
    from lotus.imaging.drawings import DRAWING_SUFFIXES
    from lotus.measurement.class_map_files import find_maps, measured_regions
    from lotus.measurement.drawing_files import find_drawings, measured_drawings
    from lotus.measurement.drawn_section import ROLES

    if arguments.roles is None:
        if arguments.input.suffix.lower() in DRAWING_SUFFIXES:
            raise ValueError(
                f"{arguments.input} holds drawings; say by --roles what their names mean"
            )
        classes = dict(arguments.classes)
        if _is_manifest(arguments.input):
            maps = _masks_of(arguments.input, classes)
        else:
            maps = find_maps(arguments.input, classes)
        return measured_regions(maps, settings, cases), len(maps)
    if arguments.classes:
        raise ValueError("--classes is for class maps and --roles for drawings; give one of them")
    drawings = find_drawings(arguments.input)
    roles = read_roles(arguments.roles, ROLES)
    return measured_drawings(drawings, roles, settings, cases), len(drawings)


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _masks_of(manifest: Path, classes: Mapping[str, int]) -> list[MapFile]:
    """The masks of a manifest, whose values are what it says unless ``classes`` say it."""
    from data_modules.manifest import read_manifest
    from lotus.measurement.class_map_files import MapFile

    maps = []
    for record in read_manifest(manifest):
        if record.mask is None:
            continue
        named = classes or dict(record.mask_values.objects)
        if not named:
            raise ValueError(
                f"{manifest} does not say what the values of {record.mask.name} stand for; give "
                "such as --classes mineralised=1 osteoid=2, or name them in its mask_values"
            )
        maps.append(
            MapFile(
                path=record.mask,
                roi=record.name,
                classes=named,
                domain=record.modality,
                image=record.image,
                pixel_size_um=record.pixel_size_um,
            )
        )
    if not maps:
        raise ValueError(f"{manifest} has no mask; give masks, or measure what a network finds")
    return maps


def _print_cases(cases: pd.DataFrame) -> None:
    names = [name for name in _SHOWN if cases[name].notna().any()]
    print(cases[["case", "ROIs", *names]].to_string(index=False, float_format="{:.4g}".format))


def _class_value(text: str) -> tuple[str, int]:
    """One pair of ``--classes``; which names there are is checked with the map."""
    name, _, value = text.partition("=")
    if not name or not value.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text} is no class with its value; give such as mineralised=1"
        )
    return name, int(value)
