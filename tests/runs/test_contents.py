"""What a run folder holds, and what it lacks."""

import json

import pytest

from lotus.runs.contents import is_phantom, read_run


@pytest.fixture
def run(tmp_path):
    """A run that was trained and not tested."""
    folder = tmp_path / "student" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed_everything: 7\n")
    (folder / "metrics.csv").write_text("epoch,val_dice\n0,0.5\n")
    return folder


def test_what_is_there_is_read_and_the_rest_is_named(run):
    (run / "data.json").write_text("[]")
    found = read_run(run)
    assert found.title == "student / tiny"
    assert (found.config, found.config_text) == ({"seed_everything": 7}, "seed_everything: 7\n")
    assert found.curves["val_dice"].tolist() == [0.5]
    assert (found.data, found.scores) == (None, None)
    assert found.missing == {
        "environment": "environment.json is not in the run folder",
        "splits": "splits.json is not in the run folder",
        "charts": "charts.json is not in the run folder",
        "data": "data.json cannot be read (found a list, expected an object)",
        "scores": "scores.csv is not in the run folder",
    }


def test_scores_are_those_of_the_images(run):
    (run / "scores.csv").write_text("name,dice\n001,0.5\nmean,0.5\n")
    scores = read_run(run).scores
    assert scores.to_dict("list") == {"name": ["001"], "dice": [0.5]}


def test_a_run_says_itself_whether_its_data_are_phantoms(run):
    assert not is_phantom(read_run(run))
    (run / "data.json").write_text(json.dumps({"student": {"phantom": True}, "teacher": {}}))
    assert is_phantom(read_run(run))


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(ValueError, match=r"holds none of config\.yaml, environment\.json, metrics"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        read_run(tmp_path / "nowhere")
