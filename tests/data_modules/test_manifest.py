import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_modules.manifest import ManifestError, Record, read_manifest, write_manifest
from lotus.imaging.raster import write_image, write_label_map
from lotus.masks import USUAL_VALUES, MaskValues

HEADER = "image,mask,mask_kind,modality,patient,group,pixel_size_um,slice_spacing_um,split"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(tmp_path / f"{name}.png", rng.integers(0, 256, (6, 8)).astype(np.uint8))
        write_label_map(tmp_path / f"{name}_mask.png", np.eye(6, 8, dtype=np.uint8))
    return tmp_path


def write(folder, *rows, header=HEADER):
    path = folder / "manifest.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def problems(folder, *rows, header=HEADER):
    with pytest.raises(ManifestError) as error:
        read_manifest(write(folder, *rows, header=header))
    return error.value.problems


GOOD = "a.png,a_mask.png,instances,histology,p1,healthy,0.5,,train"


def test_reads_rows_with_absolute_paths(folder):
    path = write(folder, GOOD, "b.png,,binary,sr_microct,p2,unknown,,2.5,")
    first, second = read_manifest(path)
    assert first == Record(
        (folder / "a.png").resolve(),
        (folder / "a_mask.png").resolve(),
        "instances",
        "histology",
        "p1",
        "healthy",
        0.5,
        None,
        "train",
    )
    assert (second.mask, second.pixel_size_um, second.slice_spacing_um) == (None, None, 2.5)
    assert second.split is None


@pytest.mark.parametrize(
    ("file", "name"), [("a.png", "a"), ("s.1.ome.tif", "s.1"), ("v1.2.tif", "v1.2")]
)
def test_name_is_the_file_name_without_its_suffix(folder, file, name):
    assert Record(folder / file, None, "binary", "m", "p", "g", None).name == name


def test_paths_are_written_relative_to_the_manifest(folder, tmp_path):
    records = read_manifest(write(folder, GOOD))
    target = tmp_path / "elsewhere/deep/manifest.csv"
    write_manifest(target, records)
    assert "../../a.png,../../a_mask.png" in target.read_text()
    assert read_manifest(target) == records


def test_moving_data_and_manifest_together_keeps_it_valid(folder, tmp_path_factory):
    path = write(folder, GOOD)
    write_manifest(path, read_manifest(path))
    moved = tmp_path_factory.mktemp("moved") / "here"
    shutil.copytree(folder, moved)
    assert read_manifest(moved / "manifest.csv")[0].image.parent == moved.resolve()


def test_missing_column_is_one_line(folder):
    header = HEADER.replace("mask_kind,", "")
    path = write(folder, GOOD.replace("instances,", ""), header=header)
    with pytest.raises(ManifestError) as error:
        read_manifest(path)
    found = header.replace(",", ", ")
    assert str(error.value) == f"{path}: row 1, column mask_kind: missing; found {found}"


def test_spreadsheet_exports_with_a_byte_order_mark_are_read(folder):
    path = folder / "manifest.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8-sig")
    assert len(read_manifest(path)) == 1


def test_all_problems_are_listed_at_once(folder):
    found = problems(
        folder,
        "a.png,a_mask.png,outline,histology,p1,healthy,0.5,,",
        "b.png,b_mask.png,instances,histology,,healthy,-1,,",
        "gone.png,c_mask.png,instances,histology,p3,healthy,,,holdout",
        "missing.png,,binary,histology,p4,,,,",
    )
    assert found[0].startswith("row 2, column mask_kind: found 'outline', expected one of")
    assert found[1] == "row 3, column patient: found nothing, expected a value"
    assert found[2].startswith("row 3, column pixel_size_um: found '-1', expected a positive")
    assert found[3].startswith("row 4, column split: found 'holdout', expected one of train")
    assert found[4].startswith("row 5, column group: found nothing")
    assert len(found) == 5


@pytest.mark.parametrize("text", ["nan", "inf", "0", "half", "1_0"])
def test_pixel_size_is_a_positive_number(folder, text):
    (problem,) = problems(folder, f"a.png,a_mask.png,binary,m,p,g,{text},,")
    assert f"found '{text}'" in problem


def test_missing_file(folder):
    (problem,) = problems(folder, GOOD, "b.png,gone.png,instances,m,p2,g,,,")
    assert "row 3, column mask: found" in problem
    assert problem.endswith("gone.png', expected an existing file")


def test_mask_of_the_tissue(folder):
    write_label_map(folder / "bone.png", np.full((6, 8), 255, np.uint8))
    header = f"{HEADER},tissue"
    path = write(folder, f"{GOOD},bone.png", "b.png,,binary,m,p2,g,,,,", header=header)
    first, second = records = read_manifest(path)
    assert (first.tissue, second.tissue) == ((folder / "bone.png").resolve(), None)
    target = folder / "deep/manifest.csv"
    write_manifest(target, records)
    assert read_manifest(target) == records
    assert "../bone.png" in target.read_text()


def test_mask_of_the_tissue_is_missing_or_of_another_size(folder):
    write_label_map(folder / "wide.png", np.eye(6, 9, dtype=np.uint8))
    header = f"{HEADER},tissue"
    rows = ["a.png,,binary,m,p,g,,,,wide.png", "b.png,,binary,m,p,g,,,,gone.png"]
    size, missing = problems(folder, *rows, header=header)
    assert size.startswith("row 2, column tissue: found '6 x 9 in ")
    assert size.endswith("expected 6 x 8 as its image")
    assert missing.startswith("row 3, column tissue: found ")
    assert missing.endswith("gone.png', expected an existing file")


def test_mask_of_another_size(folder):
    write_label_map(folder / "wide.png", np.eye(6, 9, dtype=np.uint8))
    (problem,) = problems(folder, "a.png,wide.png,instances,m,p,g,,,")
    assert "6 x 9" in problem
    assert problem.endswith("expected 6 x 8 as its image")


def test_truncated_file(folder):
    (folder / "cut.png").write_bytes((folder / "c.png").read_bytes()[:20])
    (problem,) = problems(folder, "cut.png,,binary,m,q,g,,,")
    assert "cut.png" in problem


def test_two_patients_with_one_file(folder):
    (problem,) = problems(folder, GOOD, "a.png,b_mask.png,instances,m,p2,healthy,,,")
    assert problem == (
        "row 3, column patient: found 'p2', expected one patient per file (row 2 gives it to 'p1')"
    )


def test_two_patients_with_copies_of_one_file(folder):
    shutil.copy(folder / "a.png", folder / "copy.png")
    (problem,) = problems(folder, GOOD, "copy.png,,instances,histology,p2,healthy,,,")
    assert "same bytes as row 2, 'p1'" in problem


def test_duplicate_image_and_shared_mask(folder):
    found = problems(folder, GOOD, GOOD, "b.png,a_mask.png,instances,histology,p1,healthy,,,train")
    assert any("each image once (also row 2)" in problem for problem in found)
    assert any("row 4, column mask" in problem for problem in found)


def test_two_modalities_of_one_field_may_share_its_mask(folder):
    write_image(folder / "ct/a.png", np.eye(6, 8, dtype=np.uint8))
    same_field = "ct/a.png,a_mask.png,instances,sr_microct,p1,healthy,0.5,,train"
    assert len({record.mask for record in read_manifest(write(folder, GOOD, same_field))}) == 1
    (problem,) = problems(folder, GOOD, same_field.replace(",p1,", ",p2,"))
    assert problem.endswith("expected a mask of its own (row 2 has this one)")


def test_patient_in_two_splits_over_modalities(folder):
    (problem,) = problems(folder, GOOD, "b.png,,binary,sr_microct,p1,healthy,,,test")
    assert problem == (
        "row 3, column split: found 'test', expected train as in row 2: patient 'p1' is one unit"
    )


def test_names_are_unique_within_a_modality_only(folder):
    (folder / "other").mkdir()
    Image.fromarray(np.eye(6, 8, dtype=np.uint8)).save(folder / "other/a.png")
    assert len(read_manifest(write(folder, GOOD, "other/a.png,,binary,microct,p1,healthy,,,"))) == 2
    (problem,) = problems(folder, GOOD, "other/a.png,,binary,histology,p1,healthy,,,")
    assert "differ within histology" in problem


def origin_rows(*origins):
    """Rows of two images whose masks have these origins, with a header that has the column."""
    rows = ("a.png,a_mask.png,binary,m,p1,g,,,train", "b.png,b_mask.png,binary,m,p2,g,,,val")
    return [f"{row},{origin}" for row, origin in zip(rows, origins, strict=True)]


def test_a_mask_comes_from_a_person_or_from_a_model(folder):
    (folder / "teacher").mkdir()
    for name in ("teacher/best.ckpt", "model.json"):
        (folder / name).touch()
    header = f"{HEADER},origin"
    by_hand = read_manifest(write(folder, *origin_rows("", "manual"), header=header))
    assert [record.origin for record in by_hand] == [None, None]
    path = write(folder, *origin_rows("teacher/best.ckpt", "model.json"), header=header)
    records = read_manifest(path)
    assert [record.origin for record in records] == [
        folder.resolve() / "teacher/best.ckpt",
        folder.resolve() / "model.json",
    ]
    write_manifest(folder / "deep/manifest.csv", records)
    assert (folder / "deep/manifest.csv").read_text().count(",../model.json,,,\n") == 1
    assert read_manifest(folder / "deep/manifest.csv") == records


def test_an_origin_that_cannot_be_read(folder):
    header = f"{HEADER},origin"
    assert problems(folder, *origin_rows("U-Net", "scores.csv"), header=header) == [
        f"row {row}, column origin: found '{found}', expected a file (.ckpt, .json), manual, or "
        "nothing"
        for row, found in ((2, "U-Net"), (3, "scores.csv"))
    ]
    (problem,) = problems(folder, *origin_rows("gone/best.ckpt", "manual"), header=header)
    gone = folder.resolve() / "gone/best.ckpt"
    assert problem == f"row 2, column origin: found '{gone}', expected an existing file"


def test_what_mask_values_stand_for(folder):
    header = f"{HEADER},mask_values"
    said = "background=1 object=2 ignore=255"
    rows = ("a.png,a_mask.png,binary,m,p1,g,,,train", "b.png,b_mask.png,instances,m,p2,g,,,val")
    records = read_manifest(write(folder, f"{rows[0]},{said}", f"{rows[1]},", header=header))
    assert [record.mask_values for record in records] == [MaskValues.parse(said), USUAL_VALUES]
    write_manifest(folder / "deep/manifest.csv", records)
    assert read_manifest(folder / "deep/manifest.csv") == records
    wrong, other = problems(folder, f"{rows[0]},2", f"{rows[1]},{said}", header=header)
    assert wrong.startswith("row 2, column mask_values: found '2' in '2'; expected NAME=VALUE")
    assert other.startswith("row 3, column mask_values: 'background=1 object=2 ignore=255' makes")


def test_empty_and_absent_manifest(folder):
    (problem,) = problems(folder)
    assert "at least one row" in problem
    with pytest.raises(FileNotFoundError, match="no manifest here"):
        read_manifest(folder / "other.csv")


text = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
value = text.map(str.strip).filter(bool)
length = st.none() | st.floats(1e-6, 1e6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(value, value, length, length), min_size=1, max_size=5))
def test_any_text_and_length_survives_writing(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("round").resolve()
    records = [
        Record(folder / f"{i}.png", None, "binary", "m", f"{i}{patient}", group, pixel, spacing)
        for i, (patient, group, pixel, spacing) in enumerate(rows)
    ]
    write_manifest(folder / "manifest.csv", records)
    assert read_manifest(folder / "manifest.csv", check_files=False) == records
