"""Enhance SR-microCT slices: stretched contrast inside bone, nothing outside."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lotus.commands.engine_arguments import add_map_arguments, map_of

if TYPE_CHECKING:
    from lotus.transforms.enhance_files import Enhanced
    from lotus.transforms.enhance_plan import EnhancementPlan
    from lotus.transforms.enhancement import SRMicroCTEnhancement

_PADDING_WORDS: dict[str, Literal["auto", "none"]] = {"auto": "auto", "none": "none"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus enhance``."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="image, volume (multi-page TIFF, OME-Zarr), folder of slices, or manifest.csv",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="float32 in [0, 1]: a .tif or .ome.zarr for one volume, which a folder of slices "
        "becomes too, or a folder with a TIFF for each image",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        help="where the bone masks go, 0 and 255 (default: beside the output, as NAME_bone.tif, "
        "labels/bone of an OME-Zarr, or the folder bone)",
    )
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
    parser.add_argument(
        "--padding-value",
        type=padding_value,
        default="auto",
        metavar="{auto,none,NUMBER}",
        help="what slices hold outside the field of view, e.g. -32768; auto: a constant border "
        "around one convex field (default)",
    )
    add_map_arguments(parser)


def padding_value(text: str) -> float | Literal["auto", "none"]:
    """Read ``--padding-value``.

    Args:
        text: ``auto``, ``none`` or a number.

    Raises:
        ValueError: If it is none of them.
    """
    return _PADDING_WORDS[text] if text in _PADDING_WORDS else float(text)


def run(arguments: argparse.Namespace) -> None:
    """Enhance every slice, and say which look wrong.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: If the input is not there, or a slice of a series is missing.
        ValueError: If it cannot be used, or the output would overwrite it.
    """
    from lotus.transforms.enhance_files import enhance_files
    from lotus.transforms.enhance_plan import plan_files
    from lotus.transforms.enhancement import SRMicroCTEnhancement

    enhancement = SRMicroCTEnhancement(
        arguments.cluster,
        opening_px=arguments.opening_px,
        closing_px=arguments.closing_px,
        padding_value=arguments.padding_value,
    )
    if arguments.input.suffix.lower() == ".csv":
        plan, enhanced = _enhance_manifest(arguments, enhancement)
    else:
        plan = plan_files(arguments.input, arguments.output, arguments.mask)
        enhanced = enhance_files(plan, enhancement, map_of(arguments))
    _report(plan, enhanced)
    _say(plan, enhanced)


def _enhance_manifest(
    arguments: argparse.Namespace, enhancement: SRMicroCTEnhancement
) -> tuple[EnhancementPlan, Enhanced]:
    from data_modules.enhanced import plan_manifest, write_enhanced_manifest
    from data_modules.manifest import read_manifest
    from lotus.transforms.enhance_files import enhance_files

    if arguments.mask is not None:
        raise ValueError("--mask does not go with a manifest; its masks lie in OUTPUT/bone")
    records = read_manifest(arguments.input)
    plan = plan_manifest(arguments.input, records, arguments.output)
    enhanced = enhance_files(plan, enhancement, map_of(arguments))
    write_enhanced_manifest(records, arguments.output)
    return plan, enhanced


def _report(plan: EnhancementPlan, enhanced: Enhanced) -> None:
    from lotus.reports.enhancement import ReportedSlice, write_enhancement_report

    reported = [
        ReportedSlice(
            name=fact.name,
            number=fact.slice,
            route=fact.route,
            bone_fraction=fact.bone_fraction,
            grey_range=None
            if fact.grey_low is None or fact.grey_high is None
            else (fact.grey_low, fact.grey_high),
            suspect=suspect,
            source=Path(fact.source),
            bone=Path(fact.bone),
        )
        for fact, suspect in zip(enhanced.facts, enhanced.suspects, strict=True)
    ]
    write_enhancement_report(plan.report, plan.output.name, reported)


def _say(plan: EnhancementPlan, enhanced: Enhanced) -> None:
    for remark in plan.remarks:
        print(remark)
    print(f"{len(enhanced.facts)} slices of {enhanced.files} files enhanced to {plan.output}")
    if suspects := sum(map(bool, enhanced.suspects)):
        print(f"{suspects} slices look wrong: {plan.table} says why, {plan.report} shows them")
    for value, count in sorted(enhanced.padded.items()):
        print(
            f"{count} slices have a constant border of {value:g}: left out as padding around the "
            "field of view; --padding-value says otherwise"
        )
    if enhanced.blank:
        print(
            f"{enhanced.blank} slices of volumes are blank (constant or without values): "
            "written as 0"
        )
