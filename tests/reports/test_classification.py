"""What reports say of classified patches."""

import json

import pandas as pd
import pytest

from lotus.evaluation.classification import at_level, classification_scores
from lotus.evaluation.patient_resampling import bootstrap_over_patients
from lotus.reports.classification import confusion_tables, level_table, patient_table
from lotus.reports.published import published_table
from lotus.reports.report import write_report
from lotus.runs import RunFolder
from lotus.runs.classified import write_classified
from tests.evaluation.test_classification import GROUPS, VOTES, patches
from tests.reports.test_report import cells_of, pictures_of

OTHER = VOTES.assign(
    **{"name": list("fghij"), "slice": "u", "patient": "Q", "group": "well"},
)
PAIR = pd.concat([VOTES, OTHER])


def test_scores_of_three_levels_with_their_intervals():
    cases = patches(6, GROUPS[:2])
    table = level_table(cases)
    assert table.header == ["score", "patch level", "slice level", "patient level"]
    rows = {row[0]: row[1:] for row in table.rows}
    for column, level in enumerate(("patch", "slice", "patient")):
        own = at_level(cases, level)
        f1, interval = classification_scores(own)["f1"], bootstrap_over_patients(own)["f1"]
        assert rows["F1"][column] == f"{f1:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    assert "60 patches of 6 patients (ill 3, well 3); 12 slices of 6 patients" in table.caption


def test_the_exact_interval_stands_beside_that_of_the_patients():
    """Both are called well: one of two is right."""
    rows = {row[0]: row[1:] for row in level_table(PAIR).rows}
    assert rows["accuracy, exact interval"] == ["", "", "1 of 2 [0.013, 0.987]"]


def test_who_was_taken_for_whom_at_every_level():
    patch, piece, patient = confusion_tables(PAIR)
    assert patch.header == ["patches", "ill (predicted)", "well (predicted)"]
    assert patch.rows == [["ill (true)", "2", "3"], ["well (true)", "2", "3"]]
    assert piece.rows == [["ill (true)", "0", "2"], ["well (true)", "0", "1"]]
    assert patient.rows == [["ill (true)", "0", "1"], ["well (true)", "0", "1"]]


def test_every_patient_has_its_votes():
    (first, second) = patient_table(PAIR).rows
    assert first == ["P", "ill", "well", "ill", "5", "0.40 (0.50)", "0.60 (0.50)"]
    assert second[:3] == ["Q", "well", "well"]


@pytest.fixture
def run(tmp_path):
    """A tested run of a classifier, with what its task and data say of themselves."""
    folder = RunFolder(tmp_path / "mga/a")
    write_classified(patches(6, GROUPS[:2]), folder.classified)
    model = {"weights_source": "ImageNet (timm vgg16)", "parameters": 14714688, "guide": "u2.ckpt"}
    folder.model.write_text(json.dumps(model))
    folder.data.write_text(json.dumps({"shuffled_groups": 3}))
    folder.config.write_text("seed_everything: 0\n")
    return folder


def test_the_report_of_a_classification(run):
    text = write_report(run.path).read_text(encoding="utf-8")
    assert "patch level" in text
    assert cells_of(text, "weights source") == ["ImageNet (timm vgg16)"]
    assert cells_of(text, "parameters") == ["14,714,688"]
    assert cells_of(text, "guide") == ["u2.ckpt"]
    assert "The groups of the patients were shuffled (seed 3): a negative control" in text
    assert "Best, median and worst" not in text, "which are of segmented images"
    assert len(pictures_of(text, "svg+xml")) == 1, "the calibration"
    assert "<dt>accuracy of patients</dt>" in text


def test_published_figures_of_mga():
    table = published_table("mga2023-classification")
    found = {row.method: (row.values["accuracy"][0], row.values["f1"][0]) for row in table.rows}
    assert found == {
        **{"ResNet50": (50.72, 50.58), "AlexNet": (50.91, 53.36)},
        **{"VGG16": (51.21, 51.61), "MGA": (62.89, 63.24)},
    }
    rows = published_table("mga2023-segmentation").rows
    assert {row.method: row.values["dice"][0] for row in rows} == {
        **{"vgg16-1": 57.48, "U-Net-1": 58.52, "vgg16-2": 61.92, "U-Net-2": 63.12},
    }
