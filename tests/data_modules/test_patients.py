"""Names that differ in writing alone are one person, wherever patients are told apart."""

import json
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_modules.folds import load_folds, make_folds, with_records, write_folds
from data_modules.jointly_split import joint_records
from data_modules.manifest import ManifestError, Record, read_manifest
from data_modules.paired import partners_by_field
from data_modules.patients import identity, one_name_each
from data_modules.splits import Splits, load_splits, make_splits, records_hash, write_splits
from lotus.training.known_patients import COHORT, known_patients

DECOMPOSED = unicodedata.normalize("NFD", "Zoë")


def record(number, patient, modality="ct", split=None):
    image = Path(f"/data/{modality}/{number}.png")
    mask = image.with_suffix(".tif")
    return Record(image, mask, "binary", modality, patient, "g", None, split=split)


def aliased(modality="ct", spell=str):
    """Ten people; of every one an image under each of two names."""
    names = [name for i in range(10) for name in (f"P-{i}", f"p-{i} ")]
    return [record(i, spell(name), modality) for i, name in enumerate(names)]


@pytest.mark.parametrize(
    ("one", "other"),
    [("P-A", "p-a"), ("Zoë", DECOMPOSED), ("A  1", " a 1"), ("A\u00a01", "A 1"), ("ΑΣ", "ας")],
)
def test_one_person(one, other):
    assert one != other
    assert identity(one) == identity(other)


@pytest.mark.parametrize(("one", "other"), [("P 1", "P1"), ("P-1", "P_1"), ("1", "01"), ("e", "é")])
def test_two_people(one, other):
    assert identity(one) != identity(other)


def test_the_name_of_a_person_does_not_depend_on_the_order():
    names = ["p-a", "P-A", "b", "P-a"]
    assert one_name_each(names) == {"p-a": "P-A", "P-A": "P-A", "P-a": "P-A", "b": "b"}
    assert one_name_each(reversed(names)) == one_name_each(names)
    records = [record(i, name) for i, name in enumerate(names)]
    joined = [replace(r, patient="b" if r.patient == "b" else "P-A") for r in records]
    assert records_hash(records) == records_hash(records[::-1]) == records_hash(joined)


def test_nobody_is_on_two_sides_of_a_split_or_fold():
    records = aliased()
    for split in (make_splits(records), *make_folds(records, 5).splits):
        sides = [
            {r.patient.strip().lower() for r in split.select(records, name)}
            for name in ("train", "val", "test")
        ]
        assert sum(map(len, sides)) == 10 == len(set.union(*sides))
        images = [r for name in ("train", "val", "test") for r in split.select(records, name)]
        assert len(images) == 20


def test_two_prescribed_splits_of_one_person_are_refused():
    with pytest.raises(ValueError, match="patient 'P' is in train and in test"):
        make_splits([record(0, "P", split="train"), record(1, "p", split="test")])


@pytest.mark.slow
def test_the_warning_needs_no_training():
    """In a process that has imported nothing of Lightning."""
    script = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from data_modules.manifest import Record, joined\n"
        "one = Record(Path('a.tif'), Path('m.tif'), 'binary', 'ct', 'P-A', 'g', None)\n"
        "print(len({r.patient for r in joined([one, replace(one, patient='p-a')])}))\n"
        "print('pytorch_lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "False"], done.stderr
    assert "taken for one person" in done.stderr


@pytest.mark.parametrize("rename", [str.upper, str.lower])
def test_manifests_of_two_modalities_name_the_same_people(rename):
    ct = [record(i, f"Pät  {i}") for i in range(10)]
    histology = [record(i, rename(f"Pät {i}"), "histology") for i in range(10)]
    with pytest.warns(UserWarning, match=r"taken for one person: '.*' as '.*' and 7 more; give"):
        together = joint_records(ct, histology)
    assert len({r.patient for r in together}) == 10
    split = make_splits(together)
    for name in ("train", "val", "test"):
        people = [{r.name for r in split.select(part, name)} for part in (ct, histology)]
        assert people[0] == people[1] != set()
    assert partners_by_field(ct, histology) == [*range(10)]


def test_one_image_of_one_person_in_two_manifests():
    assert joint_records([record(0, "p")], [record(0, "P")]) == [record(0, "p")]
    with pytest.raises(ValueError, match="belongs to patient 'p' in one manifest and to 'q'"):
        joint_records([record(0, "p")], [record(0, "q")])


def test_a_manifest_is_joined_and_says_so(tmp_path):
    header = "image,mask,mask_kind,modality,patient,group,pixel_size_um,split\n"
    path = tmp_path / "manifest.csv"
    path.write_text(header + "a.png,,binary,m,P  A,g,,train\nb.png,,binary,m,p a,g,,train\n")
    line = "patients whose names differ in capitals, .* taken for one person: 'p a' as 'P  A'; give"
    with pytest.warns(UserWarning, match=line):
        records = read_manifest(path, check_files=False)
    assert [r.patient for r in records] == ["P  A", "P  A"]
    path.write_text(path.read_text().replace("p a,g,,train", "p a,g,,test"))
    with (
        pytest.warns(UserWarning, match="one person"),
        pytest.raises(ManifestError, match="found 'test', expected tra"),
    ):
        read_manifest(path, check_files=False)


def test_files_that_divide_a_person_are_refused(tmp_path):
    records = [record(i, f"P{i}") for i in range(10)]
    split = make_splits(records)
    path = tmp_path / "splits.json"
    write_splits(path, replace(split, test=(*split.test, split.train[0].lower())))
    with pytest.raises(ValueError, match=f"in two splits: {split.train[0].lower()}"):
        load_splits(path, records)

    folds = make_folds(records, 2)
    first, second = folds.splits
    shared = replace(first, val=(*first.val, first.train[0].lower()))
    write_folds(path, replace(folds, splits=(shared, second)))
    with pytest.raises(ValueError, match="fold 0 has a patient in two sets"):
        load_folds(path, records)
    twice = replace(second, test=(*second.test, first.test[0].lower()), train=(), val=())
    write_folds(path, replace(folds, splits=(first, twice)))
    with pytest.raises(ValueError, match="is tested by 2 folds"):
        load_folds(path, records)
    content = json.loads(path.read_text())
    content["splits"][1]["test"] = [name.lower() for name in second.test]
    path.write_text(json.dumps(content))
    assert load_folds(path, records).splits[1].test == tuple(map(str.lower, second.test))


def test_folds_are_those_of_the_same_people():
    records = [record(i, f"P{i}") for i in range(10)]
    folds = make_folds(records, 2)
    made = [record(i, f"p{i}") for i in range(9)]
    again = with_records(folds, made)
    for before, after in zip(folds.splits, again.splits, strict=True):
        expected = {r.name for r in before.select(records, "test")} - {"9"}
        assert {r.name for r in after.select(made, "test")} == expected
    with pytest.raises(ValueError, match="patient q is in none of the folds"):
        with_records(folds, [record(0, "q")])


@pytest.mark.parametrize("cohort", [COHORT, COHORT.upper()])
def test_a_checkpoint_knows_a_person_by_every_name(cohort, tmp_path):
    record_of = {"cohorts": {cohort: ["Zoë"]}, "unrecorded": []}
    torch.save({"state_dict": {}, "patients": record_of}, tmp_path / "best.ckpt")
    for name in (DECOMPOSED, " ZOË"):
        split = Splits(("a",), ("b",), (name,), 0, "", "")
        with pytest.raises(ValueError, match=r"best\.ckpt was trained with patient"):
            known_patients([tmp_path / "best.ckpt"], split, COHORT)
