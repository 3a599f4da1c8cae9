"""Write the slices of volumes that a person labels next, and read back what was labelled."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lotus pre-label`."""
    parser.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="manifest with volumes without a mask"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="network that drafts labels and says where it is least sure, a .ckpt file or its run "
        "folder (default: slices at equal distances, with empty labels)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets grey/, labels/ to correct in any editor, slices.csv and manifest.csv",
    )
    parser.add_argument(
        "--slices", type=int, required=True, metavar="N", help="how many to label next"
    )
    parser.add_argument(
        "--apart",
        type=int,
        default=5,
        metavar="N",
        help="least distance of two of them, as long as there are enough (default 5)",
    )
    parser.add_argument(
        "--gap",
        type=int,
        default=3,
        metavar="N",
        help="slices left out beside those that validate or test (default 3)",
    )
    parser.add_argument("--modality", help="which volumes (default: those of the network)")
    parser.add_argument(
        "--rehearse",
        type=Path,
        metavar="MANIFEST",
        help="take the masks of this manifest for what a person draws, to try the procedure out",
    )
    parser.add_argument(
        "--splits", type=Path, help="split file of the network's training (default: of its run)"
    )
    parser.add_argument(
        "--cohort", default="default", help="whose patients these are (default: default)"
    )
    parser.add_argument(
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, ..."
    )


def run(arguments: argparse.Namespace) -> None:
    """Choose and draft slices once, then read what was labelled, and say how it stands.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: An input or an option that cannot be used.
    """
    from data_modules.manifest import read_manifest
    from data_modules.slice_choice import forgetting_masks, slices_without_mask
    from lotus.inference.pre_labels import draw_slices, key_of, rehearse, take_labels
    from lotus.inference.slice_folder import SliceFolder
    from lotus.inference.volume_options import VolumeOptions
    from lotus.inference.volume_segmenter import load_volume_segmenter
    from lotus.training.trained_on import checkpoint_of, modality_of, trained_on

    if arguments.manifest.resolve().parent == arguments.output.resolve():
        raise ValueError(f"{arguments.output} holds the manifest that is read; write elsewhere")
    records = read_manifest(arguments.manifest)
    truth = [] if arguments.rehearse is None else read_manifest(arguments.rehearse)
    records = forgetting_masks(records, truth)
    checkpoint = splits = known = segmenter = None
    if arguments.checkpoint is not None:
        checkpoint = checkpoint_of(arguments.checkpoint)
        splits, known = trained_on(checkpoint, arguments.splits, arguments.cohort)
        segmenter = load_volume_segmenter(checkpoint, VolumeOptions(device=arguments.device))
    modality = modality_of(checkpoint, records, arguments.modality)
    own = [record for record in records if record.modality == modality]
    slices = slices_without_mask(own, splits, gap=arguments.gap)
    folder = SliceFolder(arguments.output)
    key = key_of(
        checkpoint,
        arguments.manifest,
        slices=arguments.slices,
        apart=arguments.apart,
        gap=arguments.gap,
        modality=modality,
    )
    is_new = draw_slices(
        folder, slices, arguments.slices, segmenter=segmenter, apart=arguments.apart, key=key
    )
    if truth:
        rehearse(folder, slices, truth, key)
    found = take_labels(folder, records, slices, known)
    if is_new:
        print(f"{arguments.slices} of {len(slices)} slices written to {arguments.output}")
    print(
        f"{len(found.corrected)} corrected, {len(found.accepted)} accepted, "
        f"{len(found.rejected)} rejected, {len(found.open)} open"
    )
    if found.open:
        print(
            f"correct labels/*.tif in any editor, or say accept or reject in {folder.list}, and "
            "give the same command again"
        )
    print(f"to train with: {folder.manifest}")
