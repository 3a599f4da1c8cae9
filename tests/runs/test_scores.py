"""Tables of scores, written and read back."""

import numpy as np
import pandas as pd
import pytest

from lotus.runs.scores import add_patients, read_score_table, read_scores, write_scores

# Names that pandas would take for a number or for nothing.
IMAGES = pd.DataFrame(
    {
        "n_true": 3.0,
        "dice": [0.8, 0.6, 0.9, np.nan],
        "hd": [4.0, 6.0, 5.0, 1 / 3],
        "patient": ["07", "07", "nan", "c"],
    },
    index=pd.Index(["001", "NA", "b1", "c1"], name="name"),
)


@pytest.fixture
def table():
    """The images and their means."""
    table = IMAGES.reset_index()
    table.loc[len(table)] = ["mean", 3, 0.575, 6.0, ""]
    return table


def test_a_written_table_reads_back_the_same(table, tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(table, path)
    pd.testing.assert_frame_equal(read_score_table(path), table, check_exact=False, rtol=1e-9)
    pd.testing.assert_frame_equal(read_scores(path), IMAGES, check_exact=False, rtol=1e-9)
    assert path.read_text().splitlines()[4] == "c1,3,nan,0.3333333333,c"


def test_an_image_that_is_there_twice(table, tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(pd.concat([table.iloc[:-1], table]), path)
    with pytest.raises(ValueError, match=r"scores\.csv: image 001 is there twice"):
        read_scores(path)


def test_a_table_without_images(table, tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(table.iloc[-1:], path)
    with pytest.raises(ValueError, match=r"scores\.csv: found no image"):
        read_scores(path)


def test_a_run_that_was_not_scored(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no scores\.csv: run `lotus test` or `lotus"):
        read_scores(tmp_path / "scores.csv")


@pytest.mark.parametrize("lost", [1, 4, 30])
def test_a_table_that_was_cut_off(lost, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("name,n_true,dice\na,1,0.25\nb,2,0.5\nmean,1.5,0.375\n")
    assert list(read_scores(path)["dice"]) == [0.25, 0.5]
    path.write_text(path.read_text()[:-lost])
    with pytest.raises(ValueError, match=r"scores\.csv was cut off: its last row is not 'mean'"):
        read_scores(path)


@pytest.mark.parametrize("text", ["", "a\n", "name,dice\na,high\nmean,high\n"])
def test_a_table_of_something_else(text, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"scores\.csv is not a table of scores"):
        read_scores(path)


def test_patients_stand_at_the_end_and_the_mean_has_none(table):
    patients = {"001": "x", "NA": "x", "b1": "y", "c1": "z"}
    found = add_patients(table.drop(columns="patient"), patients)
    assert list(found) == ["name", "n_true", "dice", "hd", "patient"]
    assert found["patient"].tolist() == ["x", "x", "y", "z", ""]
