"""Segment an image, a folder of images, a slide or a volume larger than memory."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lotus.commands.engine_arguments import add_map_arguments, map_of
from lotus.commands.volume_arguments import add_at_argument, add_voxel_size_argument
from lotus.inference.precision import Precision

if TYPE_CHECKING:
    from lotus.inference.segment_rois import Roi

VOLUME_SUFFIXES = (".zarr", ".tif", ".tiff")
"""Of an output that is a volume; any other is a folder for what is found in images."""
OF_IMAGES = ("pixel_size_um", "no_resample", "threshold", "tiling")
OF_VOLUMES = ("voxel_size_um", "at", "ome_zarr", "processes")
"""Arguments that go with one of them alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus segment``."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="image, slide or folder of images; volume (TIFF, OME-Zarr, folder of slices); for a "
        "checkpoint of several domains also a manifest, of which the ROIs of patients are taken "
        "whom it was neither trained nor chosen on",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="a .ckpt file, a run folder (its best checkpoint) or a cross-validation (all folds)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder of the results; of a volume a name ending in .ome.zarr or .ome.tif, for the "
        "class of every voxel",
    )
    parser.add_argument(
        "--window", type=int, help="side of the windows in pixels (default: as tested)"
    )
    parser.add_argument(
        "--overlap", type=float, help="share of neighbouring windows (default: as tested)"
    )
    parser.add_argument(
        "--batch-size", type=int, help="windows at once (default: 1 on a CPU, 8 on a GPU)"
    )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        help="side of a pixel in µm; goes before what the file states",
    )
    parser.add_argument(
        "--no-resample",
        action="store_true",
        help="take images as they are, whatever pixel size the network was trained in",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="foreground probability that makes an object (default: as trained; connected "
        "components only)",
    )
    parser.add_argument(
        "--tiling",
        choices=("overlapped", "quadrants"),
        help="of ROIs of several domains: tiles that overlap and are blended, or side by side "
        "(default: as tested)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, ..."
    )
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="bf16 is about twice as fast where the processor has it, and rounds (default: as "
        "tested)",
    )
    volumes = parser.add_argument_group("volumes")
    add_voxel_size_argument(volumes, "without either, labels have none")
    add_at_argument(volumes)
    volumes.add_argument(
        "--ome-zarr",
        choices=("0.4", "0.5"),
        help="version that is written (default: 0.4, which most programs open)",
    )
    add_map_arguments(parser)
    parser.set_defaults(processes=None)


def run(arguments: argparse.Namespace) -> None:
    """Segment and say what was found.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: The input or the checkpoint is not there.
        ValueError: An input, a checkpoint or an option that cannot be used.
    """
    if not arguments.input.exists():
        raise FileNotFoundError(f"{arguments.input} does not exist")
    is_volume = arguments.output.suffix.lower() in VOLUME_SUFFIXES
    _refuse_others(arguments, is_volume)
    if is_volume:
        _segment_volume(arguments)
    else:
        _segment_images(arguments)


def _refuse_others(arguments: argparse.Namespace, is_volume: bool) -> None:
    """Refuse what would have no effect."""
    given = {name for name in (*OF_IMAGES, *OF_VOLUMES) if getattr(arguments, name)}
    if arguments.engine != "local":
        given.add("engine")
    wrong = given & {*OF_IMAGES} if is_volume else given - {*OF_IMAGES}
    if wrong:
        goes_with = "images, whose results go to a folder"
        if not is_volume:
            goes_with = "volumes, whose labels go to a name ending in .ome.zarr or .ome.tif"
        name = min(wrong).replace("_", "-")
        raise ValueError(f"--{name} goes with {goes_with}; the output is {arguments.output}")


def _segment_volume(arguments: argparse.Namespace) -> None:
    from lotus.engines.job_commands import granted_cores
    from lotus.imaging.voxels import checked_voxel_size
    from lotus.inference.segment_volume import segment_volume
    from lotus.inference.segmenter import device_named
    from lotus.inference.volume_options import VolumeOptions

    given = arguments.voxel_size_um
    options = VolumeOptions(
        window=arguments.window,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
        device=arguments.device,
        voxel_size_um=None if given is None else checked_voxel_size(given),
        at=tuple(arguments.at),
        version=arguments.ome_zarr or "0.4",
    )
    if arguments.processes is None:
        # Each computes in one thread.
        is_cpu = device_named(arguments.device).type == "cpu"
        arguments.processes = granted_cores() if is_cpu else 1
    found = segment_volume(
        arguments.input,
        arguments.output,
        arguments.checkpoint,
        options,
        run=map_of(arguments),
        processes=arguments.processes if arguments.engine == "local" else None,
    )
    total = sum(found.voxels.values())
    shares = ", ".join(f"{name} {count / total:.2%}" for name, count in found.voxels.items())
    if found.not_finite:
        print(
            f"note: {found.not_finite} voxels ({found.not_finite / total:.2%}) hold no finite "
            "value; they are background"
        )
    print(f"{shares} of {total} voxels, written to {arguments.output}")


def _segment_images(arguments: argparse.Namespace) -> None:
    from lotus.inference.options import SegmentOptions
    from lotus.inference.roi_segmenter import segments_rois
    from lotus.inference.segment import segment_folder, segment_image
    from lotus.inference.segmenter import load_segmenter
    from lotus.schemes import ConnectedComponents
    from lotus.tasks.precision import computes_bfloat16

    options = SegmentOptions(
        window=arguments.window,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        pixel_size_um=arguments.pixel_size_um,
        resample=not arguments.no_resample,
        precision=arguments.precision,
    )
    if segments_rois(arguments.checkpoint):
        _segment_rois(arguments)
        return
    if arguments.tiling is not None:
        raise ValueError(
            f"--tiling goes with checkpoints of several domains, which {arguments.checkpoint} is "
            "not; use --window and --overlap"
        )
    segmenter = load_segmenter(arguments.checkpoint, arguments.device)
    if options.precision == "bf16" and not computes_bfloat16(segmenter.device):
        print(
            f"warning: this {segmenter.device.type} emulates bfloat16, many times slower than "
            "float32; leave --precision out"
        )
    if arguments.threshold is not None:
        scheme = segmenter.instances
        if not isinstance(scheme, ConnectedComponents):
            raise ValueError(
                f"--threshold goes with connected components; the objects of this checkpoint are "
                f"found by {type(scheme).__name__}"
            )
        segmenter.instances = ConnectedComponents(
            scheme.minimum_size, threshold=arguments.threshold
        )
    if arguments.input.is_dir():
        found = segment_folder(segmenter, arguments.input, arguments.output, options)
        objects = sum(result.count for result in found.values())
        print(f"{objects} objects in {len(found)} images, written to {arguments.output}")
    else:
        result = segment_image(segmenter, arguments.input, arguments.output, options)
        print(f"{result.count} objects in {arguments.input.name}, written to {arguments.output}")


def _segment_rois(arguments: argparse.Namespace) -> None:
    from collections import Counter

    from lotus.inference.roi_segmenter import load_roi_segmenter
    from lotus.inference.segment_rois import RoiOptions, segment_rois

    for name in ("window", "overlap", "threshold"):
        if getattr(arguments, name) is not None:
            raise ValueError(
                f"--{name} does not go with {arguments.checkpoint}, which is of several domains: "
                "its tiles lie as --tiling says"
            )
    options = RoiOptions(
        tiling=arguments.tiling,
        batch_size=arguments.batch_size,
        pixel_size_um=arguments.pixel_size_um,
        resample=not arguments.no_resample,
        precision=arguments.precision,
    )
    segmenter = load_roi_segmenter(arguments.checkpoint, arguments.device)
    given: Path | list[Roi] = arguments.input
    if arguments.input.suffix.lower() == ".csv":
        given = _rois_of_manifest(arguments, segmenter.class_names)
    maps = segment_rois(segmenter, given, arguments.output, options)
    counts = Counter(each.domain for each in maps)
    domains = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items()))
    uncertain = sum(each.uncertain for each in maps)
    print(f"{len(maps)} ROIs ({domains}; {uncertain} uncertain), written to {arguments.output}")


def _rois_of_manifest(arguments: argparse.Namespace, domains: Collection[str]) -> list[Roi]:
    from data_modules.manifest import read_manifest
    from lotus.inference.segment_rois import unknown_rois
    from lotus.training.known_patients import COHORT, members, record_of
    from lotus.training.trained_on import checkpoint_of

    known = members(record_of(checkpoint_of(arguments.checkpoint), COHORT), COHORT)
    return unknown_rois(read_manifest(arguments.input), domains, known)
