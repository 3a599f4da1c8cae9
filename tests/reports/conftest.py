import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from lotus.evaluation.folders import evaluate_folders
from lotus.imaging.raster import write_image, write_label_map
from lotus.runs.charts import Chart, write_charts
from lotus.runs.scores import add_patients, write_scores


def squares(*corners):
    """Label map with one 10 x 10 object at each corner."""
    labels = np.zeros((60, 80), dtype=np.int32)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + 10, x : x + 10] = number
    return labels


# Prediction and target, with a Dice of 1, 1/2, 0 and undefined.
IMAGES = {
    "same": (squares((5, 5), (30, 40)), squares((5, 5), (30, 40))),
    "half": (squares((5, 10)), squares((5, 5))),
    "nothing_found": (squares(), squares((5, 5), (30, 40))),
    "empty": (squares(), squares()),
}


CHARTS = [
    Chart("Loss terms", {"train_loss_seg": "L_seg", "train_loss_kl": "L_kl"}, "raw value", "Raw."),
    Chart(
        "Noise adapter γ", {"gamma_mean": "γ"}, "γ", "1 is no noise.", "Distillation", "gamma_sd"
    ),
    Chart("Prototype cosine", {"prototype_cosine": "cosine"}, "cosine", "Of it.", "Distillation"),
]


def build_run(run, spacing=(0.5, 0.5)):
    for name, (prediction, target) in IMAGES.items():
        write_label_map(run / "predictions" / f"{name}.tif", prediction, spacing)
        write_label_map(run / "targets" / f"{name}.tif", target, spacing)
        grey = np.linspace(0, 255, 60 * 80).reshape(60, 80).astype(np.uint8)
        write_image(run / "images" / f"{name}.png", grey)
    frame = evaluate_folders(run / "predictions", run / "targets", kind="instances")
    patients = dict.fromkeys(IMAGES, "P4")
    write_scores(add_patients(frame, patients), run / "scores.csv")
    rows = [
        {"lr-Adam": 0.001, "step": 0},
        {"epoch": 0, "step": 9, "val_dice": 0.25, "val_aji": 0.125},
        {"epoch": 0, "step": 9, "train_loss": 2.0, "train_loss_seg": 2.0, "gamma_mean": 0.5,
         "gamma_sd": 0.1, "phase": 1, "prototype_cosine": 0.1},
        {"lr-Adam": 0.0005, "step": 10},
        {"epoch": 1, "step": 19, "val_dice": 0.75, "val_aji": 0.5},
        {"epoch": 1, "step": 19, "train_loss": 1.0, "train_loss_seg": 1.0, "gamma_mean": 0.7,
         "gamma_sd": 0.05, "phase": 2, "prototype_cosine": 0.3},
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(run / "metrics.csv", index=False)
    config = {
        "seed_everything": 7,
        "model": {
            "class_path": "lotus.tasks.distillation.DistillationTask",
            "init_args": {"class_names": ["lacuna"], "weights": {"kl": 0.25}},
        },
        "data": {"init_args": {"manifest": "manifest.csv", "modality": "sr_microct"}},
        "trainer": {"max_epochs": 2, "callbacks": None},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {
        "versions": {"python": "3.11.7", "torch": "2.9.9"},
        "device": "A processor",
        "git_commit": "0123456789abcdef",
        "git_uncommitted_changes": True,
        "invocations": [
            {
                "stage": "fit",
                "command": "lotus fit --config a.yaml --run '<b>'",
                "started": "2025-01-02T03:04:05+00:00",
                "status": "finished",
                "duration_s": 125.0,
                "best": {"epoch": 1, "phase": 2, "phases": 2},
            }
        ],
    }
    (run / "environment.json").write_text(json.dumps(environment))
    write_charts(run / "charts.json", CHARTS)
    splits = {"train": ["P1", "P2"], "val": ["P3"], "test": ["P4"], "seed": 0, "source": "drawn"}
    (run / "splits.json").write_text(json.dumps(splits))
    data = {"modality": "sr_microct", "splits": {"train": {"images": 12}, "test": {"images": 4}}}
    (run / "data.json").write_text(json.dumps(data))
    return run


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """A run with everything, not to be changed."""
    return build_run(tmp_path_factory.mktemp("runs") / "distill" / "quick")


@pytest.fixture
def run_folder(tmp_path, full_run):
    """A run without curves, which take most of a report's time, to be changed at will."""
    run = tmp_path / "distill" / "quick"
    shutil.copytree(full_run, run, ignore=shutil.ignore_patterns("metrics.csv", "report.html"))
    return run
