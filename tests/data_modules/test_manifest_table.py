"""Manifests as spreadsheets write them: what is unambiguous is read as if it were plain CSV."""

import codecs

import numpy as np
import pytest

from data_modules.manifest import ManifestError, read_manifest
from data_modules.manifest_table import read_table, with_decimal_point
from lotus.imaging.raster import write_image

PLAIN = """image,mask,mask_kind,modality,patient,group,pixel_size_um,split
images/a.png,images/b.png,binary,m,Zoë,g,0.65,train
images/b.png,,binary,m,p2,g,1.5,
"""


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        pixels = np.full((4, 5), ord(name), np.uint8)
        write_image(tmp_path / f"images/{name}.png", pixels)
    return tmp_path


def read(folder, content):
    path = folder / "manifest.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_manifest(path)


def refusal(folder, content):
    with pytest.raises(ManifestError) as error:
        read(folder, content)
    return error.value


@pytest.fixture
def plain(folder):
    return read(folder, PLAIN)


def semicolons(text):
    return text.replace(",", ";").replace("0.65", "0,65").replace("1.5", "1,5")


@pytest.mark.parametrize(
    "change",
    {
        "semicolons": semicolons,
        "tabs": lambda text: text.replace(",", "\t").replace("0.65", "0,65"),
        "decimal commas in quotes": lambda text: text.replace("0.65", '"0,65"'),
        "a line that names the separator": lambda text: "sep=;\r\n" + semicolons(text),
        "the same in quotes": lambda text: '"SEP=|"\n' + text.replace(",", "|"),
        "backslashes": lambda text: text.replace("images/", "images\\"),
        "empty rows": lambda text: text.replace("\nimages/b", "\n\n,,,,,,,\n  \nimages/b") + ",,\n",
        "cells too many, and too few": lambda text: text.replace("train\n", "train,,,\n")[:-2],
        "capitals": lambda text: text.replace("pixel_size_um", "Pixel size µm").replace(
            "mask_kind", "Mask-Kind"
        ),
        "words in capitals": lambda text: text.replace("binary", "Binary").replace(
            "train", "TRAIN"
        ),
        "ends of lines": lambda text: text.replace("\n", "\r\n"),
        "old ends of lines": lambda text: text.replace("\n", "\r"),
        "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
        "UTF-16": lambda text: text.encode("utf-16"),
        "big-endian UTF-16": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        "UTF-32": lambda text: text.encode("utf-32"),
    }.items(),
    ids=lambda case: case[0],
)
def test_habits_of_spreadsheets_are_read_as_if_they_were_none(change, folder, plain):
    assert [record.pixel_size_um for record in plain] == [0.65, 1.5]
    assert read(folder, change[1](PLAIN)) == plain


@pytest.mark.parametrize(
    ("text", "separator", "expected"),
    [
        ("0,65", ",", "0.65"),
        ("0,650", ",", "0.650"),
        ("6,500E-01", ",", "6.500E-01"),
        ("1,625", ";", "1.625"),
        ("1,625", ",", "1,625"),
        ("1,625", "\t", "1,625"),
        ("1.625,5", ";", "1.625,5"),
        ("1,000,000", ";", "1,000,000"),
        ("-1,5", ";", "-1,5"),
        ("1.5", ";", "1.5"),
        ("", ";", ""),
    ],
)
def test_a_comma_is_decimal_unless_it_may_divide_thousands(text, separator, expected):
    assert with_decimal_point(text, separator) == expected


def test_what_may_be_thousands_is_named(folder):
    (problem,) = refusal(folder, PLAIN.replace("0.65", '"1,625"')).problems
    expected = "expected a positive number of µm, with a decimal point, or nothing"
    assert problem == f"row 2, column pixel_size_um: found '1,625', {expected}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN.encode("cp1252"), "row 2: found bytes that are not UTF-8; save it as 'CSV UTF-8'"),
        (PLAIN.encode("utf-16-le"), "found UTF-16 without a byte-order mark, or no text; save it"),
        (PLAIN.encode("utf-16")[:-1], "row 3: found bytes that are not UTF-16"),
        (b"PK\x03\x04 and so on", "found a workbook, expected text; save it as 'CSV UTF-8'"),
        (PLAIN.replace("0.65", "0,65"), "row 2: found 9 cells, expected 8 as in the header"),
        (PLAIN.replace("group", "patient"), "row 1, column patient: found 2 of them"),
        (PLAIN + "x" * 200_000, r"found no table \(field larger"),
    ],
)
def test_what_is_ambiguous_is_named_in_one_line(content, said, folder):
    error = refusal(folder, content)
    assert "\n" not in str(error)
    with pytest.raises(ManifestError, match=rf"manifest.csv: {said}"):
        raise error


def test_a_column_that_is_missing_is_named_with_the_separator(folder):
    text = semicolons(PLAIN).replace("mask_kind", "kind")
    assert str(refusal(folder, text)).endswith("pixel_size_um, split, separated by semicolons")


def test_rows_are_counted_as_spreadsheets_count_them(folder):
    text = 'sep=,\n\nimage,patient\n"two\nlines",p\n\nb,q\n'
    path = folder / "manifest.csv"
    path.write_text(text)
    assert read_table(path, ("image", "patient")).rows == [
        (3, {"image": "two\nlines", "patient": "p"}),
        (5, {"image": "b", "patient": "q"}),
    ]


def test_a_name_with_a_backslash_is_one_where_there_is_such_a_file(folder):
    (folder / "images/a.png").rename(folder / "images\\a.png")
    (first, _) = read(folder, PLAIN.replace("images/a.png", "images\\a.png"))
    assert first.image.name == "images\\a.png"


def test_one_cause_is_said_once_and_several_on_lines_of_their_own(folder):
    rows = [f"gone{row}.png,,binary,m,p{row},g,0,\n" for row in range(40)]
    error = refusal(folder, PLAIN + "".join(rows).replace(",0,", ",,"))
    assert len(error.problems) == 40
    assert "\n" not in str(error)
    assert str(error).endswith("gone0.png', expected an existing file (and 39 more like it)")
    error = refusal(folder, (PLAIN + "".join(rows)).replace(",g,1.5", ",,1.5"))
    first, *lines = str(error).split("\n  ")
    assert first.endswith("manifest.csv: 41 problems")
    assert [line.partition(":")[0] for line in lines] == [
        "row 3, column group",
        "row 4, column pixel_size_um",
    ]
