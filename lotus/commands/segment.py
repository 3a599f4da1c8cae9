"""Segment an image, a folder of images or a slide larger than memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from lotus.inference.precision import Precision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus segment``."""
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="image, slide or folder of images"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        help="a .ckpt file, a run folder (its best checkpoint) or a cross-validation (all folds)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
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
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, ..."
    )
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="bf16 is about twice as fast where the processor has it, and rounds (default: as "
        "tested)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Segment and say what was found.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: The input or the checkpoint is not there.
        ValueError: An input, a checkpoint or an option that cannot be used.
    """
    from lotus.inference.options import SegmentOptions
    from lotus.inference.segment import segment_folder, segment_image
    from lotus.inference.segmenter import load_segmenter
    from lotus.schemes import ConnectedComponents
    from lotus.tasks.precision import computes_bfloat16

    if not arguments.input.exists():
        raise FileNotFoundError(f"{arguments.input} does not exist")
    options = SegmentOptions(
        window=arguments.window,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        pixel_size_um=arguments.pixel_size_um,
        resample=not arguments.no_resample,
        precision=arguments.precision,
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
