"""The distillation on real images: runs, tables and paired tests of docs/results.md.

Run ``python -m benchmarks.distillation_study --help``. Every run is an ordinary ``lotus fit`` and
``lotus test``; a finished run is not run again, so the study can be stopped and gone on with.
"""

import argparse
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lotus.runs import RunFolder

RUNS = Path("runs/study")
RECORD = Path("docs/distillation_study.csv")
STEPS_PER_EPOCH = 15
LEARNING_RATES = (3e-3, 1e-2)
SEEDS = (1, 2, 3)
DEGRADED = (
    '{"class_path": "lotus.transforms.degradation.Degraded", "init_args": '
    '{"inner": {"class_path": "lotus.transforms.PercentileRange"}, '
    '"contrast": %s, "noise": %s, "blur": %s}}'
)


@dataclass(frozen=True)
class Setting:
    """A pair of modalities, and how hard the student's is.

    Attributes:
        manifest: Manifest with both modalities.
        student: The student's modality.
        teacher: The teacher's modality.
        preprocessing: The student's preprocessing, as ``lotus fit`` takes it.
        shots: Numbers k of labelled training images.
        steps: Training steps of every row.
    """

    manifest: str
    student: str
    teacher: str
    preprocessing: str
    shots: tuple[int, ...]
    steps: int


@dataclass(frozen=True)
class Row:
    """A method: the experiment it starts from and what it changes.

    Attributes:
        experiment: File under experiments/lotus/.
        arguments: Further arguments of ``lotus fit``; ``{teacher}`` is the teacher's checkpoint,
            ``{phase_one_epochs}`` half the epochs.
    """

    experiment: str
    arguments: tuple[str, ...] = field(default=())


SETTINGS = {
    "fluorescence": Setting(
        "data/dsb2018/manifest.csv",
        "fluorescence",
        "histology",
        "lotus.transforms.PercentileRange",
        (1, 2, 4, 8),
        steps=120,
    ),
    "degraded": Setting(
        "data/dsb2018/manifest.csv",
        "fluorescence",
        "histology",
        DEGRADED % (0.25, 0.15, 1.5),
        (1, 2, 4, 8),
        steps=120,
    ),
    "phantom": Setting(
        "data/phantoms-faint/manifest.csv",
        "sr_microct",
        "histology",
        "lotus.transforms.enhancement.SRMicroCTEnhancement",
        (4,),
        # Objects of five pixels in noise: at 120 steps the student alone often finds none.
        steps=360,
    ),
}
_LOTUS = (
    *("--model.init_args.teacher", "{teacher}", "--model.init_args.patience", "3"),
    *("--model.init_args.max_phase_one_epochs", "{phase_one_epochs}"),
)


def _lotus(alignment: str, diff: float, kl: float, ifv: float, *more: str) -> Row:
    weights = {"lambda_diff": diff, "lambda_kl": kl, "lambda_ifv": ifv}
    arguments = (*_LOTUS, "--model.init_args.alignment", f"lotus.losses.{alignment}", *more)
    for name, value in weights.items():
        arguments += (f"--model.init_args.{name}", str(value))
    return Row("distill", arguments)


_START = ("--model.init_args.initial_weights", "{teacher}")
ROWS = {
    "student": Row("student"),
    "from_teacher": Row("student", _START),
    "lotus_pixel": _lotus("PixelAlignment", 1, 1, 1),
    "lotus_class": _lotus("ClassAlignment", 1, 1, 1),
    "class_0.1": _lotus("ClassAlignment", 1, 0.1, 0.1),
}
# From these and class_0.1 the last row is chosen on validation.
VARIANTS = {
    "class_0.1": ROWS["class_0.1"],
    "class_ifv": _lotus("ClassAlignment", 0, 0, 0.3),
    "class_0.1_from_teacher": _lotus("ClassAlignment", 1, 0.1, 0.1, *_START),
}


def run_name(row: str, shots: int, rate: float, seed: int) -> str:
    """Name of a run folder."""
    return f"{row}-k{shots}-lr{rate:g}-seed{seed}"


def teacher_checkpoint(setting: str, seed: int) -> Path:
    """Checkpoint of a setting's teacher; settings with the same images share it."""
    name = "phantom" if setting == "phantom" else "dsb2018"
    return RunFolder(RUNS / f"teacher-{name}" / f"seed{seed}").best


def _trainer_arguments(steps: int) -> list[str]:
    epochs = steps // STEPS_PER_EPOCH
    return [
        *("--trainer.max_epochs", str(epochs), "--trainer.precision", "32-true"),
        *("--trainer.check_val_every_n_epoch", str(epochs)),
        *("--trainer.limit_val_batches", "16"),
        *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        *("--trainer.use_distributed_sampler", "false"),
        *("--trainer.enable_model_summary", "false", "--trainer.num_sanity_val_steps", "0"),
        # Whole images: twice as fast as overlapping windows of 256 px where images are small.
        *("--model.init_args.inferer", "monai.inferers.SlidingWindowInferer"),
        *("--model.init_args.inferer.init_args.roi_size", "[-1, -1]"),
    ]


def _data_arguments(prefix: str, manifest: str, modality: str, seed: int) -> list[str]:
    values = {
        "manifest": manifest,
        "modality": modality,
        "patch_size": 64,
        "batch_size": 8,
        "samples_per_epoch": 8 * STEPS_PER_EPOCH,
        "cache": "data/.cache",
        "seed": seed,
    }
    return [text for key, value in values.items() for text in (f"{prefix}.{key}", str(value))]


def _optimizer(rate: float, steps: int) -> list[str]:
    optimizer, scheduler = "--model.init_args.optimizer", "--model.init_args.lr_scheduler"
    return [
        *(optimizer, "torch.optim.Adam", f"{optimizer}.init_args.lr", str(rate)),
        *(scheduler, "torch.optim.lr_scheduler.CosineAnnealingLR"),
        *(f"{scheduler}.init_args.T_max", str(steps // STEPS_PER_EPOCH)),
    ]


def teacher_arguments(setting: str, seed: int, steps: int = 600) -> list[str]:
    """``lotus fit`` of a teacher."""
    described = SETTINGS[setting]
    folder = teacher_checkpoint(setting, seed).parents[1]
    return [
        *("fit", "--config", "experiments/lotus/teacher.yaml", "--runs", str(RUNS)),
        *("--experiment", folder.parent.name, "--run", folder.name, "--seed_everything", str(seed)),
        *_trainer_arguments(steps),
        *_data_arguments("--data.init_args", described.manifest, described.teacher, seed),
        *_optimizer(3e-3, steps),
    ]


def student_arguments(setting: str, row: str, shots: int, rate: float, seed: int) -> list[str]:
    """``lotus fit`` of one row."""
    described = SETTINGS[setting]
    method = (ROWS | VARIANTS)[row]
    student = "--data.init_args"
    data: list[str] = []
    if method.experiment == "distill":
        student += ".student.init_args"
        teacher = "--data.init_args.teacher.init_args"
        data = _data_arguments(teacher, described.manifest, described.teacher, seed)
    data += _data_arguments(student, described.manifest, described.student, seed)
    data += [f"{student}.training_images", str(shots)]
    data += [f"{student}.preprocessing", described.preprocessing]
    values = {
        "teacher": teacher_checkpoint(setting, seed),
        "phase_one_epochs": described.steps // STEPS_PER_EPOCH // 2,
    }
    return [
        *("fit", "--config", f"experiments/lotus/{method.experiment}.yaml", "--runs", str(RUNS)),
        *("--experiment", setting, "--run", run_name(row, shots, rate, seed)),
        *("--seed_everything", str(seed)),
        *_trainer_arguments(described.steps),
        *data,
        *(text.format(**values) for text in method.arguments),
        *_optimizer(rate, described.steps),
    ]


def train(arguments: list[str]) -> Path:
    """One ``lotus fit``, unless it has been run or gone on with; its folder."""
    folder = RUNS / _value(arguments, "--experiment") / _value(arguments, "--run")
    if not RunFolder(folder).best.is_file():
        last = RunFolder(folder).last
        _lotus_command([*arguments, *(("--ckpt_path", "last") if last.is_file() else ())])
    return folder


def train_and_test(arguments: list[str]) -> None:
    """One ``lotus fit`` and ``lotus test``, unless its scores are there already."""
    run = RunFolder(train(arguments))
    if not run.scores.is_file():
        _lotus_command(["test", "--config", str(run.config)])


def _lotus_command(arguments: list[str]) -> None:
    import torch

    from lotus.cli import main

    torch.set_num_threads(1)
    status = main(arguments)
    if status:
        raise RuntimeError(f"exit status {status} of: lotus {' '.join(arguments)}")


def _value(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def run_all(job: Callable[[list[str]], object], runs: list[list[str]], processes: int) -> None:
    """Do every run's job in processes of one thread each."""
    os.environ.update(OMP_NUM_THREADS="1", WANDB_MODE="disabled")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(job, runs):
            pass


def validation_score(setting: str, row: str, shots: int, rate: float, seed: int) -> float:
    """Best validation Dice of a finished run."""
    run = RunFolder(RUNS / setting / run_name(row, shots, rate, seed))
    curve = pd.read_csv(run.curves)
    return float(curve["val_dice"].max())


def chosen_rate(setting: str, row: str) -> float:
    """The learning rate with the best validation Dice of seed 0 at the tuning k."""
    shots = tuning_shots(setting)
    return max(LEARNING_RATES, key=lambda rate: validation_score(setting, row, shots, rate, 0))


def tuning_shots(setting: str) -> int:
    """The k at which learning rates and weights are chosen."""
    return SETTINGS[setting].shots[len(SETTINGS[setting].shots) // 2]


def chosen_variant(setting: str) -> str:
    """The variant with the best validation Dice of seed 0 at its own learning rate."""
    shots = tuning_shots(setting)
    return max(
        VARIANTS,
        key=lambda row: max(
            validation_score(setting, row, shots, rate, 0) for rate in LEARNING_RATES
        ),
    )


def tune(setting: str, processes: int) -> None:
    """Teachers, then every row and variant at every learning rate with seed 0."""
    run_all(train, [teacher_arguments(setting, seed) for seed in (0, *SEEDS)], processes)
    grid = itertools.product(ROWS | VARIANTS, LEARNING_RATES)
    shots = tuning_shots(setting)
    runs = [student_arguments(setting, row, shots, rate, 0) for row, rate in grid]
    run_all(train, runs, processes)


def final_rows(setting: str) -> list[str]:
    """The five fixed rows and the chosen variant, if that is another one."""
    return [*ROWS, *({chosen_variant(setting)} - {*ROWS})]


def measure(setting: str, shots: list[int], processes: int) -> None:
    """Every row at its learning rate, for every seed and the given k."""
    rates = {row: chosen_rate(setting, row) for row in final_rows(setting)}
    grid = itertools.product(shots, SEEDS, rates)
    runs = [student_arguments(setting, row, k, rates[row], seed) for k, seed, row in grid]
    run_all(train_and_test, runs, processes)


def scores_of(setting: str, row: str, shots: int) -> pd.DataFrame:
    """Scores of all images of all seeds of a row: columns seed, name, dice, aji, ..."""
    rate = chosen_rate(setting, row)
    frames = []
    for seed in SEEDS:
        run = RunFolder(RUNS / setting / run_name(row, shots, rate, seed))
        frame = pd.read_csv(run.scores)
        frames.append(frame[frame["name"] != "mean"].assign(seed=seed))
    return pd.concat(frames, ignore_index=True)


def is_measured(setting: str, shots: int) -> bool:
    """Whether every row of a k has all its seeds."""
    return all(
        RunFolder(
            RUNS / setting / run_name(row, shots, chosen_rate(setting, row), seed)
        ).scores.is_file()
        for row, seed in itertools.product(final_rows(setting), SEEDS)
    )


def compare(setting: str) -> pd.DataFrame:
    """Mean and SD over seeds, and paired tests against the student alone, of every finished k."""
    rows = []
    for shots in SETTINGS[setting].shots:
        if not is_measured(setting, shots):
            continue
        reference = scores_of(setting, "student", shots)
        for row in final_rows(setting):
            scores = scores_of(setting, row, shots)
            line: dict[str, object] = {"k": shots, "row": row, "lr": chosen_rate(setting, row)}
            for name in ("dice", "aji", "pq"):
                per_run = scores.groupby("seed")[name].mean()
                line[name] = f"{per_run.mean():.3f} ± {per_run.std(ddof=1):.3f}"
            for name in ("dice", "aji"):
                line |= _paired_tests(scores, reference, name) if row != "student" else {}
            rows.append(line)
    return pd.DataFrame(rows)


def _paired_tests(scores: pd.DataFrame, reference: pd.DataFrame, name: str) -> dict[str, object]:
    """Difference to the reference; t-test over runs, Wilcoxon over images (mean of seeds)."""
    runs = [frame.groupby("seed")[name].mean() for frame in (scores, reference)]
    images = [frame.groupby("name")[name].mean() for frame in (scores, reference)]
    difference = (images[0] - images[1]).dropna()
    return {
        f"Δ{name}": f"{float(np.mean(runs[0] - runs[1])):+.3f}",
        f"p {name} runs": f"{stats.ttest_rel(runs[0], runs[1]).pvalue:.3f}",
        f"p {name} images": f"{stats.wilcoxon(difference).pvalue:.2g}",
        "n images": str(len(difference)),
    }


def record() -> pd.DataFrame:
    """Every finished run of every setting: its validation Dice and, once tested, its scores."""
    grid = itertools.product(SETTINGS, ROWS | VARIANTS, LEARNING_RATES, (0, *SEEDS))
    lines = []
    for setting, row, rate, seed in grid:
        for shots in SETTINGS[setting].shots:
            run = RunFolder(RUNS / setting / run_name(row, shots, rate, seed))
            if not run.best.is_file():
                continue
            line: dict[str, object] = {"setting": setting, "k": shots, "row": row, "lr": rate}
            line |= {"seed": seed, "val_dice": validation_score(setting, row, shots, rate, seed)}
            if run.scores.is_file():
                scores = pd.read_csv(run.scores).set_index("name").loc["mean"]
                line |= {name: scores[name] for name in ("dice", "aji", "aji_plus", "pq", "f1")}
            lines.append(line)
    return pd.DataFrame(lines).sort_values(["setting", "k", "row", "lr", "seed"])


SMALLEST = 20
"""Pixels; smaller objects are left out of the second line of a scheme."""
SCHEMES = {
    "components": (),
    "boundary + watershed": (
        *("--model.init_args.instances", "lotus.schemes.BoundaryWatershed"),
        *("--model.init_args.network.init_args.out_channels", "3"),
    ),
}
DOMAINS = {
    "fluorescence": ("student", "lotus.transforms.PercentileRange"),
    "histology": ("teacher", "lotus.transforms.DtypeRange"),
}


def scheme_arguments(domain: str, scheme: str, seed: int, steps: int = 210) -> list[str]:
    """``lotus fit`` of a supervised run with an instance scheme, on all training images."""
    experiment, preprocessing = DOMAINS[domain]
    manifest = SETTINGS["fluorescence"].manifest
    return [
        *("fit", "--config", f"experiments/lotus/{experiment}.yaml", "--runs", str(RUNS)),
        *("--experiment", "instances", "--run", f"{domain}-{scheme.split()[0]}-seed{seed}"),
        *("--seed_everything", str(seed)),
        *_trainer_arguments(steps),
        *_data_arguments("--data.init_args", manifest, domain, seed),
        *("--data.init_args.preprocessing", preprocessing),
        *_optimizer(3e-3, steps),
        *SCHEMES[scheme],
    ]


def measure_schemes(processes: int) -> None:
    """Every instance scheme on every domain with every seed."""
    grid = itertools.product(SEEDS, DOMAINS, SCHEMES)
    runs = [scheme_arguments(domain, scheme, seed) for seed, domain, scheme in grid]
    run_all(train_and_test, runs, processes)


def compare_schemes() -> pd.DataFrame:
    """Mean and SD over seeds of every scheme on every domain, with and without small objects."""
    rows = []
    for domain, scheme, size in itertools.product(DOMAINS, SCHEMES, (0, SMALLEST)):
        folders = [
            RUNS / "instances" / f"{domain}-{scheme.split()[0]}-seed{seed}" for seed in SEEDS
        ]
        scores = pd.concat(
            [scores_without_small(folder, size).assign(seed=folder.name) for folder in folders]
        )
        line: dict[str, object] = {"domain": domain, "scheme": scheme, "smallest, px": size or 1}
        for name in ("dice", "aji", "aji_plus", "pq", "f1"):
            per_run = scores.groupby("seed")[name].mean()
            line[name] = f"{per_run.mean():.3f} ± {per_run.std(ddof=1):.3f}"
        line["objects found / true"] = f"{scores['n_pred'].sum() / scores['n_true'].sum():.2f}"
        rows.append(line)
    return pd.DataFrame(rows)


def scores_without_small(folder: Path, size: int) -> pd.DataFrame:
    """Scores of a run's predictions without predicted objects below a size."""
    from lotus.evaluation.folders import pair_files
    from lotus.imaging import read_label_map
    from lotus.masks import without_small
    from lotus.metrics import score_image

    rows = []
    run = RunFolder(folder)
    for pair in pair_files(run.predictions, run.targets):
        labels = without_small(read_label_map(pair.prediction).astype(np.int32), size)
        rows.append(score_image(labels, read_label_map(pair.target)))
    return pd.DataFrame(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = ("tune", "measure", "table", "record", "schemes", "scheme-table")
    parser.add_argument("action", choices=actions)
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="fluorescence")
    parser.add_argument("--shots", type=int, nargs="*", help="the k to measure; all by default")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.action == "tune":
        tune(arguments.setting, arguments.processes)
    elif arguments.action == "measure":
        shots = arguments.shots or list(SETTINGS[arguments.setting].shots)
        measure(arguments.setting, shots, arguments.processes)
    elif arguments.action == "table":
        print(markdown(compare(arguments.setting)))
    elif arguments.action == "record":
        record().to_csv(RECORD, index=False, float_format="%.4f")
    elif arguments.action == "schemes":
        measure_schemes(arguments.processes)
    else:
        print(markdown(compare_schemes()))


def markdown(frame: pd.DataFrame) -> str:
    """A Markdown table, empty where a value is missing."""
    lines = [list(frame.columns), ["---"] * len(frame.columns)]
    lines += [["" if pd.isna(value) else str(value) for value in row] for row in frame.to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
