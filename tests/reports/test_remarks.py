"""What a report warns of."""

import json

import pandas as pd
import pytest

from lotus.reports.remarks import warnings_of
from lotus.runs.contents import read_run


def warnings(folder, invocations=(), scores=None, *, changed=False):
    content = {"invocations": list(invocations), "git_uncommitted_changes": changed}
    (folder / "environment.json").write_text(json.dumps(content))
    if scores is not None:
        table = pd.DataFrame(scores, columns=["name", "n_true", "n_pred"])
        table.loc[len(table)] = ["mean", 0, 0]
        table.to_csv(folder / "scores.csv", index=False)
    return warnings_of(read_run(folder))


def fit(status="finished", **more):
    return {"stage": "fit", "status": status, **more}


TEST = {"stage": "test", "status": "finished"}
LAST = {"epoch": 7, "phase": 2, "phases": 2}


@pytest.mark.parametrize(
    "invocations",
    [[], [TEST], [fit(), TEST], [fit(), TEST, fit(), TEST], [fit("failed"), fit(best=LAST), TEST]],
)
def test_a_run_that_ended_well_has_none(invocations, tmp_path):
    assert warnings(tmp_path, invocations, [("a", 3, 2), ("b", 0, 0)]) == []


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_training_that_did_not_end(status, tmp_path):
    (line,) = warnings(tmp_path, [fit(), fit(status)])
    assert line == f"The training has not come to its end: it is {status}."


def test_a_checkpoint_of_an_earlier_phase(tmp_path):
    (line,) = warnings(tmp_path, [fit(best={**LAST, "phase": 1})])
    assert line.startswith("The best checkpoint is of phase 1 of 2: ")


@pytest.mark.parametrize("later", [[], [TEST]])
def test_scores_of_before_the_training_went_on(later, tmp_path):
    found = warnings(tmp_path, [fit(), TEST, fit(), *later])
    assert any("went on after the test" in line for line in found) == (not later)


def test_images_in_which_nothing_or_too_much_was_found(tmp_path):
    scores = [("a", 3, 0), ("b", 1, 0), ("c", 0, 2), ("d", 0, 0), ("e", 2, 2)]
    assert warnings(tmp_path, scores=scores, changed=True) == [
        "Images with objects in which none was found: 2 of 5.",
        "Images without objects in which some were found: 1.",
        "The checkout had uncommitted changes: its commit is not all that was run.",
    ]
