"""Draw masks on unlabelled images of the patients that a network was trained on."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lotus pseudo-label``."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a .ckpt file or its run folder"
    )
    parser.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="manifest with images without a mask"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the pseudo-labels")
    parser.add_argument(
        "--threshold", type=float, help="probability that makes foreground (default: as trained)"
    )
    parser.add_argument(
        "--slices", type=int, help="most images, of as many patients as possible (default: all)"
    )
    parser.add_argument(
        "--patients", nargs="+", help="only of these training patients (default: of all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    parser.add_argument(
        "--modality", help="which images (default: those that the network was trained on)"
    )
    parser.add_argument(
        "--patches",
        type=Path,
        help="table of `lotus patches`: its slices are labelled, and its patches judged (default: "
        "all, and patches side by side where there is tissue)",
    )
    parser.add_argument(
        "--patch-size",
        type=int,
        default=55,
        help="side of these in pixels where there is no table (default: 55)",
    )
    parser.add_argument(
        "--least-confidence",
        type=float,
        default=0.0,
        help="patches of less are rejected, in [0, 1] (default: 0)",
    )
    parser.add_argument(
        "--review",
        type=Path,
        help="review list to honour (default: that of the output, once it was edited)",
    )
    parser.add_argument(
        "--splits",
        type=Path,
        help="split file of the network's training (default: that of its run folder)",
    )
    parser.add_argument(
        "--cohort", default="default", help="whose patients these are (default: default)"
    )
    parser.add_argument(
        "--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, ..."
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw the masks and say what was drawn.

    Args:
        arguments: Of :func:`add_arguments`.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: An input or an option that cannot be used.
    """
    from data_modules.manifest import read_manifest
    from data_modules.review_places import grid_places, table_places
    from data_modules.unlabelled import slices_to_label
    from lotus.inference.pseudo_labels import PseudoLabelOptions, pseudo_label
    from lotus.inference.segmenter import load_segmenter
    from lotus.training.trained_on import checkpoint_of, modality_of, trained_on

    options = PseudoLabelOptions(arguments.threshold, arguments.least_confidence)
    checkpoint = checkpoint_of(arguments.checkpoint)
    splits, known = trained_on(checkpoint, arguments.splits, arguments.cohort)
    records = read_manifest(arguments.manifest)
    modality = modality_of(checkpoint, records, arguments.modality)
    own = [record for record in records if record.modality == modality]
    table = None if arguments.patches is None else table_places(arguments.patches, own)
    chosen = slices_to_label(
        [record for record in own if table is None or record.name in table],
        splits,
        patients=arguments.patients,
        count=arguments.slices,
        seed=arguments.seed,
    )
    if arguments.manifest.resolve().parent == arguments.output.resolve():
        raise ValueError(f"{arguments.output} holds the manifest that is read; write elsewhere")
    made = pseudo_label(
        load_segmenter(checkpoint, arguments.device),
        checkpoint,
        records,
        chosen,
        arguments.output,
        places=grid_places(chosen, arguments.patch_size) if table is None else table,
        known=known,
        options=options,
        review=arguments.review,
    )
    decisions = [verdict.decision for verdict in made.verdicts.values()]
    patients = len({record.patient for record in made.labelled})
    print(
        f"{len(made.labelled)} images of {patients} training patients labelled "
        f"({made.foreground:.1%} foreground); of {len(decisions)} patches "
        f"{decisions.count('reject')} rejected, {decisions.count('corrected')} corrected; "
        f"written to {arguments.output}"
    )
    if missing := len(chosen) - len(made.labelled):
        print(f"note: {missing} images were rejected altogether and stay without a mask")
