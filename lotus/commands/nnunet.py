"""Compare with nnU-Net: hand it the images and folds, and take its predictions back."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from lotus.runs import RunFolder

USAGE = """Further arguments of `export` are those of `lotus fit` with a SegmentationDataModule:
--config FILE and --data.KEY VALUE. nnU-Net itself is installed with the extra `nnunet`, here or in
an environment of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; `export` leaves what is not declared to `lotus fit`.

    Args:
        parser: Parser of `lotus nnunet`.
    """
    parser.epilog = USAGE
    actions = parser.add_subparsers(dest="action", required=True, metavar="{export,import}")
    export = actions.add_parser("export", help="a data set of nnU-Net with the folds of others")
    export.set_defaults(action=_export)
    export.add_argument(
        "--folds", type=Path, required=True, metavar="FILE", help="splits.json of `lotus crossval`"
    )
    export.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="gets nnUNet_raw and the rest"
    )
    export.add_argument("--number", type=int, default=1, help="of the data set (%(default)s)")
    export.add_argument("--name", default="Lotus", help="of the data set (%(default)s)")
    back = actions.add_parser("import", help="nnU-Net's predictions as a cross-validated run")
    back.set_defaults(action=_import)
    back.add_argument(
        "--dataset", type=Path, required=True, metavar="DIR", help="nnUNet_raw/Dataset..."
    )
    back.add_argument(
        "--results",
        type=Path,
        required=True,
        metavar="DIR",
        help="nnUNet_results/Dataset.../nnUNetTrainer__nnUNetPlans__2d, with the fold_0, fold_1, …",
    )
    back.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs")
    back.add_argument("--experiment", default="nnunet", help="its name (%(default)s)")
    back.add_argument("--run", required=True, help="its name")
    back.add_argument(
        "--minimum-size", type=int, default=0, metavar="PX", help="drop objects of fewer pixels"
    )


def run(arguments: argparse.Namespace, fit_arguments: list[str]) -> None:
    """Export or import.

    Args:
        arguments: Of :func:`add_arguments`.
        fit_arguments: Of `lotus fit`; an import takes none.

    Raises:
        ValueError: Data, folds or predictions cannot be used.
    """
    arguments.action(arguments, fit_arguments)


def _export(arguments: argparse.Namespace, fit_arguments: list[str]) -> None:
    from data_modules.folds import load_folds
    from data_modules.nnunet import dataset_name, export_dataset
    from data_modules.segmentation import SegmentationDataModule
    from lotus.training.configuration import read_configuration

    dataset = dataset_name(arguments.number, arguments.name)
    data = read_configuration(fit_arguments).data
    if not isinstance(data, SegmentationDataModule):
        raise ValueError(
            f"nnU-Net takes one modality; the configuration has {type(data).__name__}, expected "
            "SegmentationDataModule as in experiments/lotus/student.yaml"
        )
    folds = load_folds(arguments.folds, data.records)
    raw = export_dataset(arguments.output, dataset, data, folds.splits)
    print("\n".join(_next_commands(arguments, raw, len(folds.splits))))


def _next_commands(arguments: argparse.Namespace, raw: Path, n_folds: int) -> list[str]:
    """What is to be typed between export and import."""
    folder, number = arguments.output.resolve(), arguments.number
    folders = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    results = folder / "nnUNet_results" / raw.name / "nnUNetTrainer__nnUNetPlans__2d"
    back = ["lotus", "nnunet", "import", "--run", "cv", "--dataset", str(raw), "--results"]
    return [
        *(f"export {name}={shlex.quote(str(folder / name))}" for name in folders),
        f"nnUNetv2_plan_and_preprocess -d {number} -c 2d --verify_dataset_integrity",
        *(f"nnUNetv2_train {number} 2d {fold}" for fold in range(n_folds)),
        shlex.join([*back, str(results)]),
    ]


def _import(arguments: argparse.Namespace, unknown: list[str]) -> None:
    from lotus.evaluation.nnunet import import_predictions

    if unknown:
        raise ValueError(f"unrecognized arguments: {' '.join(unknown)}")
    output = arguments.runs / arguments.experiment / arguments.run
    count = import_predictions(arguments.dataset, arguments.results, output, arguments.minimum_size)
    print(f"{count} images: {RunFolder(output).scores}")
