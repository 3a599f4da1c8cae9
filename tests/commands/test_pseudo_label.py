"""`lotus pseudo-label` from the command line."""

import csv
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from data_modules.folds import make_folds
from data_modules.manifest import Record, read_manifest, write_manifest
from data_modules.patches import SlicePatches, write_patches
from data_modules.splits import Splits, read_splits, write_splits
from lotus.cli import main
from lotus.imaging import read_image, read_label_map, read_pixel_size, write_image, write_label_map
from tests.commands.test_segment import checkpoint_at
from tests.conftest import tiny_arguments

SIZE = (48, 40)
SPLITS = Splits(("A", "B"), ("V",), ("E",), 0, "hash", "drawn")
PATCH = 16
ROWS, COLUMNS = 3, 2


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four patients with an annotated and two other slices each; bone is the left 24 columns."""
    random = np.random.default_rng(3)
    bone = np.zeros(SIZE, np.uint8)
    bone[:, :24] = 255
    records = []
    for patient in "ABVE":
        for number in range(3):
            name = f"{patient}{number}"
            noise = gaussian_filter(random.normal(size=SIZE), 2.0)
            grey = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
            write_image(tmp_path / f"{name}.tif", grey, (1.6, 1.6))
            write_label_map(tmp_path / f"{name}_bone.tif", bone)
            record = Record(
                image=tmp_path / f"{name}.tif",
                mask=None,
                mask_kind="instances",
                modality="sr_microct",
                patient=patient,
                group="healthy" if patient in "AV" else "osteoporotic",
                pixel_size_um=1.6,
                tissue=tmp_path / f"{name}_bone.tif",
            )
            if number == 0:
                write_label_map(tmp_path / f"{name}_mask.tif", np.eye(*SIZE, dtype=np.uint8))
                record = replace(record, mask=tmp_path / f"{name}_mask.tif")
            records.append(record)
    write_manifest(tmp_path / "manifest.csv", records)
    return tmp_path / "manifest.csv"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A run whose network knows A, B and V; its logit is 20 * (grey value - 0.5)."""
    return run_at(tmp_path / "run")


def run_at(folder: Path, splits: Splits = SPLITS, threshold: float = 0.5) -> Path:
    path = checkpoint_at(folder / "checkpoints/best.ckpt", "ConnectedComponents", 1, threshold)
    known = {"cohorts": {"default": [*splits.train, *splits.val]}, "unrecorded": []}
    torch.save({**torch.load(path, weights_only=True), "patients": known}, path)
    write_splits(folder / "splits.json", splits)
    return path


def pseudo_label(checkpoint: Path, manifest: Path, output: Path, *arguments: object) -> int:
    given = (checkpoint, manifest, "--output", output, "--patch-size", PATCH, *arguments)
    return main(["pseudo-label", *map(str, given), "--device", "cpu"])


def probability(manifest: Path, name: str) -> np.ndarray:
    grey = read_image(manifest.parent / f"{name}.tif").array.astype(np.float64) / 255
    return 1 / (1 + np.exp(-20 * (grey - 0.5)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def review_with(path: Path, changes: dict[tuple[str, int, int], tuple[str, str]], to: Path) -> Path:
    """A review list with other decisions and files for some patches (name, y, x)."""
    rows = rows_of(path)
    for row in rows:
        key = row["name"], int(row["y"]), int(row["x"])
        row["decision"], row["file"] = changes.pop(key, (row["decision"], row["file"]))
    assert not changes
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return to


def labelled_by_a_model(manifest: Path) -> dict[str, Record]:
    return {r.name: r for r in read_manifest(manifest) if r.origin is not None}


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_masks_are_the_thresholded_probability(tmp_path, manifest, checkpoint, capsys):
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out, "--threshold", 0.7) == 0
    assert "4 images of 2 training patients labelled" in capsys.readouterr().out
    for name in ("A1", "A2", "B1", "B2"):
        expected = probability(manifest, name)
        found = read_image(out / f"probability/{name}.tif").array
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
        labels = read_label_map(out / f"labels/{name}.tif")
        clear = np.abs(expected - 0.7) > 1e-4
        np.testing.assert_array_equal(labels[clear], np.where(expected >= 0.7, 255, 0)[clear])
        assert read_pixel_size(out / f"labels/{name}.tif").spacing_um == pytest.approx((1.6, 1.6))


def test_the_manifest_keeps_every_row_and_says_whom_the_labels_know(tmp_path, manifest, checkpoint):
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out) == 0
    before, after = read_manifest(manifest), read_manifest(out / "manifest.csv")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if old.patient in "AB" and old.mask is None:
            assert new.mask == out / f"labels/{old.name}.tif"
            assert new.mask_kind == "binary"
            assert json.loads(new.origin.read_text())["cohorts"] == {"default": ["A", "B", "V"]}
            assert replace(new, mask=None, origin=None, mask_kind="instances") == replace(
                old, mask_values=new.mask_values
            )
        else:
            assert old == new


def test_confidence_is_measured_in_the_tissue_of_patches(tmp_path, manifest, checkpoint):
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out) == 0
    rows = rows_of(out / "confidence.csv")
    # Two columns of patches hold bone; the third would not be whole.
    assert len(rows) == 4 * ROWS * COLUMNS
    for row in rows:
        y, x = int(row["y"]), int(row["x"])
        p = probability(manifest, row["name"])[y : y + PATCH, x : min(x + PATCH, 24)]
        entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
        expected = [np.abs(2 * p - 1).mean(), (p >= 0.5).mean(), entropy.mean()]
        found = [float(row[name]) for name in ("confidence", "foreground", "entropy")]
        np.testing.assert_allclose(found, expected, atol=2e-4)
        assert float(row["tissue"]) == {0: 1.0, 16: 0.5}[x]
    review = rows_of(out / "review.csv")
    assert [r["confidence"] for r in review] == [r["confidence"] for r in rows]
    assert {r["decision"] for r in review} == {"accept"}


def test_patches_of_little_confidence_are_ignored(tmp_path, manifest, checkpoint):
    assert pseudo_label(checkpoint, manifest, tmp_path / "all") == 0
    values = sorted(float(row["confidence"]) for row in rows_of(tmp_path / "all/confidence.csv"))
    limit = (values[4] + values[5]) / 2
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out, "--least-confidence", limit) == 0
    rejected = [row for row in rows_of(out / "review.csv") if row["decision"] == "reject"]
    assert len(rejected) == 5
    for name, record in labelled_by_a_model(out / "manifest.csv").items():
        expected = np.zeros(SIZE, bool)
        for row in rejected:
            if row["name"] == name:
                y, x = int(row["y"]), int(row["x"])
                expected[y : y + PATCH, x : x + PATCH] = True
        ignored = record.mask_values.apply(read_label_map(record.mask)).ignored
        np.testing.assert_array_equal(expected, False if ignored is None else ignored)


@pytest.mark.parametrize("values", [(0, 1), (0, 255)])
@pytest.mark.parametrize("whole", [False, True])
def test_a_review_is_honoured(tmp_path, manifest, checkpoint, values, whole):
    first, out = tmp_path / "first", tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, first) == 0
    drawn = np.random.default_rng(0).random(SIZE) < 0.4
    corrected = np.where(drawn, values[1], values[0])
    window = np.s_[16:32, 0:16]
    write_label_map(tmp_path / "by_hand.png", corrected if whole else corrected[window])
    changes = {("A1", 0, 16): ("Reject", ""), ("A1", 16, 0): ("corrected", "by_hand.png")}
    review = review_with(first / "review.csv", changes, tmp_path / "review.csv")
    assert pseudo_label(checkpoint, manifest, out, "--review", review) == 0

    expected = read_label_map(first / "labels/A1.tif").copy()
    expected[0:16, 16:32] = 128
    expected[window] = np.where(drawn, 255, 0)[window]
    record = labelled_by_a_model(out / "manifest.csv")["A1"]
    np.testing.assert_array_equal(read_label_map(record.mask), expected)
    labels = record.mask_values.apply(read_label_map(record.mask))
    np.testing.assert_array_equal(labels.values > 0, expected == 255)
    np.testing.assert_array_equal(labels.ignored, expected == 128)
    said = {(r["name"], int(r["y"]), int(r["x"])): r for r in rows_of(out / "review.csv")}
    assert said["A1", 0, 16]["decision"] == "reject"
    assert (out / said["A1", 16, 0]["file"]).resolve() == (tmp_path / "by_hand.png").resolve()
    other = np.array_equal(*(read_label_map(d / "labels/A2.tif") for d in (first, out)))
    assert other


def test_patches_of_a_table_are_judged_and_its_slices_labelled(tmp_path, manifest, checkpoint):
    records = {record.name: record for record in read_manifest(manifest)}
    table = tmp_path / "tables/patches.csv"
    corners = {"A2": [(0, 3), (7, 9)], "B1": [(32, 24)], "V1": [(1, 1)], "A0": [(2, 2)]}
    write_patches(
        table,
        [
            (records[name], SlicePatches(np.array(own), 11, np.ones(len(own))))
            for name, own in corners.items()
        ],
    )
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out, "--patches", table) == 0
    assert set(labelled_by_a_model(out / "manifest.csv")) == {"A2", "B1"}
    found = [tuple(int(r[k]) for k in ("y", "x", "size")) for r in rows_of(out / "review.csv")]
    assert found == [(0, 3, 11), (7, 9, 11), (32, 24, 11)]


def test_a_slice_that_is_rejected_altogether_stays_without_a_mask(
    tmp_path, manifest, checkpoint, capsys
):
    """Its patches cover all of it."""
    records = [replace(r, tissue=None) for r in read_manifest(manifest)]
    write_manifest(manifest, records)
    out = tmp_path / "out"
    arguments = ("--patch-size", 8, "--least-confidence", 1, "--slices", 2)
    assert pseudo_label(checkpoint, manifest, out, *arguments) == 0
    assert "2 images were rejected altogether" in capsys.readouterr().out
    assert read_manifest(out / "manifest.csv") == records


def test_an_edited_list_in_the_folder_is_honoured_and_kept(tmp_path, manifest, checkpoint):
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out) == 0
    review_with(out / "review.csv", {("B2", 32, 0): ("reject", "")}, out / "review.csv")
    edited = (out / "review.csv").read_bytes()
    for _ in range(2):
        assert pseudo_label(checkpoint, manifest, out) == 0
        assert (out / "review.csv").read_bytes() == edited
        labels = read_label_map(out / "labels/B2.tif")
        assert (labels[32:48, 0:16] == 128).all()
        assert np.count_nonzero(labels == 128) == PATCH**2


def test_what_a_person_changed_is_not_replaced(tmp_path, manifest, checkpoint, capsys):
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out) == 0
    review_with(out / "review.csv", {("A1", 0, 0): ("reject", "")}, out / "review.csv")
    other = run_at(tmp_path / "other", threshold=0.3)
    assert pseudo_label(other, manifest, out) == 2
    assert f"{out}/review.csv was changed by hand, for labels" in error_of(capsys)
    assert pseudo_label(other, manifest, out, "--review", out / "review.csv") == 0
    assert (read_label_map(out / "labels/A1.tif")[:16, :16] == 128).all()

    painted = read_label_map(out / "labels/A2.tif").copy()
    painted[0, 0] = 255 - painted[0, 0]
    write_label_map(out / "labels/A2.tif", painted)
    capsys.readouterr()
    assert pseudo_label(other, manifest, out, "--review", out / "review.csv") == 2
    assert f"{out}/labels/A2.tif was changed by hand" in error_of(capsys)
    np.testing.assert_array_equal(read_label_map(out / "labels/A2.tif"), painted)


def test_images_go_through_the_network_once(tmp_path, manifest, checkpoint):
    """What was stopped goes on; another checkpoint draws all of them anew."""
    out = tmp_path / "out"
    assert pseudo_label(checkpoint, manifest, out) == 0
    files = sorted(out.rglob("*.*"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    again = out / "probability/B1.tif"
    again.unlink()
    (out / "manifest.csv").unlink()
    assert pseudo_label(checkpoint, manifest, out) == 0
    assert sorted(out.rglob("*.*")) == files
    for path, (time, content) in before.items():
        if path.name in ("manifest.csv", "confidence.csv", "review.csv", "origin.json"):
            assert path.read_bytes() == content
        elif path.suffix == ".tif":
            assert (path.stat().st_mtime_ns == time) == (path != again)

    assert pseudo_label(run_at(tmp_path / "other", threshold=0.2), manifest, out) == 0
    found = read_image(out / "probability/A1.tif").array
    grey = read_image(tmp_path / "A1.tif").array / 255
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-20 * (grey - 0.2))), atol=1e-5)


def test_a_choice_of_slices(tmp_path, manifest, checkpoint):
    chosen = []
    for count in (1, 2, 3, 9):
        out = tmp_path / f"out{count}"
        assert pseudo_label(checkpoint, manifest, out, "--slices", count) == 0
        chosen.append(set(labelled_by_a_model(out / "manifest.csv")))
    assert [len(names) for names in chosen] == [1, 2, 3, 4]
    assert all(fewer < more for fewer, more in pairwise(chosen))
    assert {name[0] for name in chosen[1]} == {"A", "B"}


def test_another_round_draws_anew_what_the_first_drew(tmp_path, manifest, checkpoint):
    first, second = tmp_path / "first", tmp_path / "second"
    assert pseudo_label(checkpoint, manifest, first) == 0
    better = run_at(tmp_path / "better", threshold=0.4)
    assert pseudo_label(better, first / "manifest.csv", second) == 0
    records = labelled_by_a_model(second / "manifest.csv")
    assert sorted(records) == ["A1", "A2", "B1", "B2"]
    assert {record.mask.parent for record in records.values()} == {second / "labels"}
    # What was drawn by hand is the same file as ever.
    by_hand = {r.mask for r in read_manifest(second / "manifest.csv") if r.origin is None}
    assert by_hand == {None, *(tmp_path / f"{patient}0_mask.tif" for patient in "ABVE")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--patients", "V"), "patient V is one of val"),
        (("--patients", "A", "E"), "patient E is one of test"),
        (("--patients", "Z"), "no patient Z"),
        (("--slices", "0"), "0 images to label"),
        (("--least-confidence", "1.5"), "least confidence is 1.5"),
        (("--threshold", "0"), "threshold is 0"),
        (("--patch-size", "41"), "give a smaller --patch-size"),
        (("--review", "nowhere.csv"), "nowhere.csv: no review list"),
        (("--modality", "histology"), "no image of modality histology"),
        (("--splits", "nowhere.json"), "nowhere.json"),
        (("--patches", "nowhere.csv"), "nowhere.csv: no table of patches"),
    ],
)
def test_bad_input_is_one_line(tmp_path, manifest, checkpoint, capsys, arguments, words):
    assert pseudo_label(checkpoint, manifest, tmp_path / "out", *arguments) == 2
    assert words in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("A1,1,0,16,,accept,", "row 2: there is no patch of 16 px at y=1, x=0 in slice 'A1'; the "),
        ("V1,0,0,16,,reject,", "row 2: no slice 'V1' is pseudo-labelled"),
        ("A1,0,0,16,,maybe,", "found 'maybe', expected one of accept, reject, corrected"),
        ("A1,0,0,16,,corrected,", "found '' beside corrected, expected a file"),
        ("A1,0,0,16,,corrected,gone.tif", "found 'gone.tif', expected an existing file"),
        ("A1,0,0,16,,accept,A1.tif", "found 'A1.tif' beside accept"),
        ("A1,-1,0,16,,accept,", "found '-1', expected a whole number"),
        ("A1,0,0,16,,accept,\nA1,0,0,16,,reject,", "row 3: patch of 16 px at y=0, x=0 in"),
        ("A1,0,0,16,,corrected,small.png", "small.png is 3 x 3 px; expected 16 x 16"),
    ],
)
def test_a_bad_review_is_one_line(tmp_path, manifest, checkpoint, capsys, row, words):
    write_label_map(tmp_path / "small.png", np.eye(3, dtype=np.uint8))
    (tmp_path / "list.csv").write_text(f"name,y,x,size,confidence,decision,file\n{row}\n")
    arguments = ("--review", tmp_path / "list.csv")
    assert pseudo_label(checkpoint, manifest, tmp_path / "out", *arguments) == 2
    assert words in error_of(capsys)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_nobody_is_labelled_by_a_network_that_does_not_say_whom_it_trained_on(
    tmp_path, manifest, checkpoint, capsys
):
    moved = tmp_path / "moved.ckpt"
    checkpoint.rename(moved)
    assert pseudo_label(moved, manifest, tmp_path / "out") == 2
    assert "give the split file of its training with --splits" in error_of(capsys)
    write_splits(tmp_path / "foreign.json", replace(SPLITS, train=("A", "E"), test=("B",)))
    assert pseudo_label(moved, manifest, tmp_path / "out", "--splits", "foreign.json") == 2
    capsys.readouterr()
    arguments = ("--splits", tmp_path / "foreign.json")
    assert pseudo_label(moved, manifest, tmp_path / "out", *arguments) == 2
    assert "foreign.json trains on patient E, on whom" in error_of(capsys)
    arguments = ("--splits", tmp_path / "run/splits.json")
    assert pseudo_label(moved, manifest, tmp_path / "out", *arguments) == 0
    assert set(labelled_by_a_model(tmp_path / "out/manifest.csv")) == {"A1", "A2", "B1", "B2"}


def test_a_split_that_contradicts_the_run_is_refused(tmp_path, manifest, checkpoint, capsys):
    """The validation patient is known to the weights, and still no training patient."""
    write_splits(tmp_path / "other.json", replace(SPLITS, train=("A", "V"), val=("B",)))
    arguments = ("--splits", tmp_path / "other.json")
    assert pseudo_label(checkpoint, manifest, tmp_path / "out", *arguments) == 2
    assert "other.json trains on patient V, on whom" in error_of(capsys)


def test_a_cross_validation_is_refused(tmp_path, manifest, capsys):
    run_at(tmp_path / "cv/fold0")
    (tmp_path / "cv/splits").mkdir()
    (tmp_path / "cv/splits/fold0.json").touch()
    assert pseudo_label(tmp_path / "cv", manifest, tmp_path / "out") == 2
    assert "give the run of one fold" in error_of(capsys)
    assert pseudo_label(tmp_path / "cv/fold0", manifest, tmp_path / "out") == 0


def half_annotated(manifest: Path, folder: Path) -> Path:
    """The tiny SR-microCT images twice, once with their masks and once without."""
    records = [r for r in read_manifest(manifest) if r.modality == "sr_microct"]
    for record in list(records):
        image = read_image(record.image)
        write_image(folder / f"{record.name}_b.tif", image.array[::-1], image.spacing_um)
        records.append(replace(record, image=folder / f"{record.name}_b.tif", mask=None))
    write_manifest(folder / "half.csv", records)
    return folder / "half.csv"


@pytest.mark.slow
@pytest.mark.parametrize("fold", [None, 1])
def test_no_patient_of_validation_or_test_is_ever_labelled(tmp_path, tiny_manifest, capsys, fold):
    """By a network that was trained through the command line, also in a fold, over two rounds."""
    manifest = half_annotated(tiny_manifest, tmp_path)
    records = read_manifest(manifest)
    arguments = tiny_arguments("student", manifest, tmp_path / "runs")
    if fold is not None:
        write_splits(tmp_path / "fold.json", make_folds(records, 3).splits[fold])
        arguments += ["--splits", str(tmp_path / "fold.json")]
    assert main(arguments) == 0
    run = tmp_path / "runs/student/tiny"
    splits = read_splits(run / "splits.json")
    held_out = {*splits.val, *splits.test}
    assert splits.val
    assert splits.test

    source = manifest
    for number in range(2):
        out = tmp_path / f"round{number}"
        assert pseudo_label(run, source, out) == 0
        labelled = labelled_by_a_model(out / "manifest.csv").values()
        assert {record.patient for record in labelled} == set(splits.train)
        for record in read_manifest(out / "manifest.csv"):
            if record.patient in held_out:
                assert record == next(r for r in records if r.image == record.image)
        names = {record.name for record in records if record.patient in held_out}
        assert names.isdisjoint(path.stem for path in out.rglob("*.tif"))
        for table in ("review.csv", "confidence.csv"):
            assert names.isdisjoint(row["name"] for row in rows_of(out / table))
        source = out / "manifest.csv"
    for patient in held_out:
        assert pseudo_label(run, manifest, tmp_path / "never", "--patients", patient) == 2
    assert not (tmp_path / "never").exists()

    # The next network learns from them, and may be tested on those whom the first did not know.
    again = tiny_arguments("student", source, tmp_path / "next")
    assert main([*again, "--splits", str(run / "splits.json")]) == 0
    known, *others = splits.train
    swapped = replace(splits, train=(*others, *splits.test), test=(known,))
    write_splits(tmp_path / "swapped.json", swapped)
    last = tiny_arguments("student", source, tmp_path / "swapped")
    capsys.readouterr()
    assert main([*last, "--splits", str(tmp_path / "swapped.json")]) == 2
    assert f"origin.json was trained with patient {known}" in capsys.readouterr().err
