from lotus.reports.tables import Table, data_parts


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
