import pandas as pd

from lotus.reports.tables import Table, data_parts, image_table, score_table


def part(modality, images):
    return {"modality": modality, "splits": {"train": {"images": images}, "test": {"images": 1}}}


def tables_of(modality, images):
    return [
        Table(["property", "value"], [["modality", modality]]),
        Table(["", "train", "test"], [["images", str(images), "1"]]),
    ]


PAIRED = Table(["property", "value"], [["paired", "no"]])


def test_parts_of_the_data_have_tables_under_their_names():
    parts = {"phase_contrast": part("pc", 3), "histology": part("he", 2)}
    assert data_parts({"paired": False, "parts": parts, "phantom": False}) == [
        ("", [PAIRED]),
        ("Phase contrast", tables_of("pc", 3)),
        ("Histology", tables_of("he", 2)),
    ]


def test_parts_of_older_runs_stand_at_the_top_level():
    old = {"paired": False, "student": part("ct", 3), "teacher": part("he", 2)}
    assert data_parts(old) == [
        ("", [PAIRED]),
        ("Student", tables_of("ct", 3)),
        ("Teacher", tables_of("he", 2)),
    ]
    assert data_parts(old) == data_parts(
        {"paired": False, "parts": {"student": old["student"], "teacher": old["teacher"]}}
    )


def test_data_of_one_modality_have_no_parts():
    assert data_parts(part("ct", 3)) == [("", tables_of("ct", 3))]


def test_scores_that_nobody_knows_have_rows_and_columns_too():
    scores = pd.DataFrame(
        {"name": ["a", "b"], "new": [1.0, 2.0], "accuracy": [1.0, 0.0], "patient": ["p", "q"]}
    )
    rows = [(row.label, row.mean_sd, row.median) for row in score_table(scores)]
    assert rows == [("accuracy", "0.500 ± 0.707", "0.500"), ("new", "1.500 ± 0.707", "1.500")]
    expected = [["b", "q", "0.000", "2.000"], ["a", "p", "1.000", "1.000"]]
    assert image_table(scores) == Table(["image", "patient", "accuracy", "new"], expected)


def test_the_worst_image_comes_first_whichever_way_is_better():
    scores = pd.DataFrame({"name": ["a", "b"], "test_loss": [0.1, 0.2]})
    assert [row[0] for row in image_table(scores).rows] == ["b", "a"]
