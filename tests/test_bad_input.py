"""Bad input: one clear line, exit status 2, nothing half-written."""

import json
import re
import resource
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import make_splits
from lotus.cli import main
from lotus.imaging import write_image, write_label_map
from lotus.training.errors import shortened
from tests.conftest import tiny_arguments

BAD = "sr_microct_0"  # of a training patient
SPLITS = {**{f"P{i}": "train" for i in range(6)}, "P6": "val", "P7": "val"}


@pytest.fixture
def dataset(tiny_manifest, tmp_path):
    """A copy of the tiny data set, to be damaged: six patients train, two validate, two test."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_manifest.parent, folder)
    records = read_manifest(folder / "manifest.csv")
    write_manifest(
        folder / "manifest.csv",
        [replace(record, split=SPLITS.get(record.patient, "test")) for record in records],
    )
    return folder


@pytest.fixture
def refusal(capsys):
    """Function that runs a command that must fail properly, and returns the line it prints."""

    def run(*arguments) -> str:
        capsys.readouterr()
        with warnings.catch_warnings(record=True) as warned:
            warnings.resetwarnings()
            for category in (DeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)  # as Python does by itself
            status = main([str(argument) for argument in arguments])
        lines = capsys.readouterr().err.splitlines()
        assert [str(warning.message) for warning in warned] == []
        assert status == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith(f"lotus {arguments[0]}: ")
        return lines[0]

    return run


@contextmanager
def full_disk(room: int):
    """No file can grow beyond ``room`` bytes; a write beyond fails in the system, half done."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def truncate(path: Path) -> None:
    """Cut a TIFF file in the midst of its pixels."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        end = page.dataoffsets[-1] + page.databytecounts[-1] // 2
    path.write_bytes(path.read_bytes()[:end])


def change_rows(folder: Path, changes) -> None:
    """Rewrite the manifest's table by a function of a data frame."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    changes(table).to_csv(folder / "manifest.csv", index=False)


# Ways to spoil one image, and what the message says about it. Stacks are refused too, but not by
# `lotus enhance`, for which they are volumes.
SPOILT_IMAGES = {
    "truncated": (lambda path: truncate(path), "truncated"),
    "no image": (lambda path: path.write_text("not an image"), "no image"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "constant": (lambda path: write_image(path, np.full((48, 48), 0.5, np.float32)), "constant"),
    "all NaN": (
        lambda path: write_image(path, np.full((48, 48), np.nan, np.float32)),
        "no finite value",
    ),
    "RGBA": (
        lambda path: tifffile.imwrite(path, np.zeros((48, 48, 4), np.uint8), photometric="rgb"),
        "convert it to RGB",
    ),
}
STACK = (
    lambda path: tifffile.imwrite(path, np.zeros((5, 48, 48), np.uint8), photometric="minisblack"),
    "stack of 5 pages",
)


def spoil_mask(array):
    return lambda folder: write_label_map(folder / f"{BAD}_mask.tif", array)


def row_of(table, name):
    return table["image"] == f"{name}.tif"


def as_semantic(folder):
    change_rows(folder, lambda table: table.assign(mask_kind="semantic"))


def same_file_twice(folder):
    def changed(table):
        copied = table[row_of(table, BAD)].assign(patient="P3", mask=None)
        return pd.concat([table, copied])

    change_rows(folder, changed)


def copied_file(folder):
    shutil.copy(folder / f"{BAD}.tif", folder / "sr_microct_1.tif")


def second_split(folder):
    change_rows(
        folder,
        lambda table: table.assign(split=table["split"].mask(row_of(table, BAD), "test")),
    )


def no_validation(folder):
    change_rows(folder, lambda table: table.assign(split=table["split"].replace("val", "train")))


SPOILT_DATA = {
    **{
        name: (lambda folder, spoil=spoil: spoil(folder / f"{BAD}.tif"), [f"{BAD}.tif", message])
        for name, (spoil, message) in SPOILT_IMAGES.items()
    },
    "stack": (
        lambda folder: STACK[0](folder / f"{BAD}.tif"),
        [f"expected 5 x 48 x 48 as the volume {BAD}.tif"],
    ),
    "mask is missing": (
        lambda folder: (folder / f"{BAD}_mask.tif").unlink(),
        [f"{BAD}_mask.tif", "expected an existing file"],
    ),
    "mask of another size": (
        spoil_mask(np.zeros((48, 47), np.uint8)),
        [f"48 x 47 in .*{BAD}_mask.tif", "expected 48 x 48"],
    ),
    "mask is truncated": (
        lambda folder: truncate(folder / f"{BAD}_mask.tif"),
        [f"{BAD}_mask.tif", "truncated"],
    ),
    "labels outside the classes": (
        as_semantic,
        ["_mask.tif: found label 4", "allowed are 0 background, 1 lacuna"],
    ),
    "two patients with one file": (
        same_file_twice,
        ["row 22, column patient: found 'P3'", "one patient per file", "'P0'"],
    ),
    "two patients with equal files": (
        copied_file,
        ["column patient: found 'P1'", "same bytes as row 3, 'P0'"],
    ),
    "a patient in two splits": (second_split, ["column split: found 'test'", "patient 'P0'"]),
    "an empty fold": (no_validation, ["split val has no annotated sr_microct", "split_fractions"]),
    "a missing column": (
        lambda folder: change_rows(folder, lambda table: table.drop(columns="patient")),
        ["manifest.csv: row 1, column patient: missing"],
    ),
    "no manifest": (
        lambda folder: (folder / "manifest.csv").unlink(),
        ["manifest.csv: no manifest here", "lotus prepare"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SPOILT_DATA)
def test_training_refuses_spoilt_data(case, dataset, tmp_path, refusal):
    spoil, expected = SPOILT_DATA[case]
    spoil(dataset)
    line = refusal(*tiny_arguments("student", dataset / "manifest.csv", tmp_path / "runs"))
    for message in expected:
        assert re.search(message, line), line
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_refused_training_leaves_no_run_folder_for_wandb_either(
    dataset, tmp_path, refusal, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    SPOILT_IMAGES["RGBA"][0](dataset / f"{BAD}.tif")
    line = refusal(*tiny_arguments("student", dataset / "manifest.csv", tmp_path / "runs"))
    assert "convert it to RGB" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_distillation_refuses_an_image_of_either_modality(
    dataset, tiny_teacher, tmp_path, refusal
):
    arguments = [
        *tiny_arguments("distill", dataset / "manifest.csv", tmp_path / "runs"),
        *("--model.init_args.teacher", tiny_teacher),
    ]
    good = contents(dataset)
    for name in (BAD, "histology_3"):
        write_image(dataset / f"{name}.tif", np.full((48, 48), 0.5, np.float32))
        line = refusal(*arguments)
        assert f"{name}.tif is constant" in line
        for path, content in good.items():
            Path(path).write_bytes(content)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["teacher", "initial_weights"])
def test_a_checkpoint_that_knows_the_test_patients_is_refused(
    option, tiny_manifest, tiny_teacher, tmp_path, refusal
):
    """Trained on the split of seed 0; the split of another seed tests some of its patients."""
    split = json.loads((tiny_teacher.parents[1] / "splits.json").read_text())
    records = read_manifest(tiny_manifest)
    seed = next(
        seed
        for seed in range(1, 99)
        if set(make_splits(records, seed=seed).test) & {*split["train"]}
    )
    experiment = {"teacher": "distill", "initial_weights": "student"}[option]
    arguments = [
        *tiny_arguments(experiment, tiny_manifest, tmp_path),
        *(f"--model.init_args.{option}", tiny_teacher),
    ]
    prefix = "--data.init_args" + (".student.init_args" if experiment == "distill" else "")
    line = refusal(*arguments, f"{prefix}.seed", seed)
    known = r"was trained with patient P\d( and \d more)?, whom this training tests on"
    assert re.search(f"best.ckpt {known}", line)
    assert contents(tmp_path) == {}
    # Out of its run folder a checkpoint is known by its own record of patients.
    moved = shutil.copy(tiny_teacher, tmp_path / "weights.ckpt")
    arguments = [*arguments[:-1], moved, f"{prefix}.seed", seed]
    assert re.search(f"weights.ckpt {known}", refusal(*arguments))
    assert list(contents(tmp_path)) == [str(moved)]
    # Weights from elsewhere have none.
    content = torch.load(moved, weights_only=True)
    del content["patients"]
    torch.save(content, moved)
    with pytest.warns(UserWarning, match=r"weights.ckpt does not say .* cannot be ruled out"):
        assert main([*map(str, arguments)]) == 0


@pytest.mark.slow
def test_a_patient_of_the_teacher_of_a_student_is_refused(
    tiny_manifest, tiny_teacher, tmp_path, refusal
):
    """The distillation itself never saw the patient; what it exports knows them all the same."""
    split = json.loads((tiny_teacher.parents[1] / "splits.json").read_text())
    lost, records = split["train"][0], read_manifest(tiny_manifest)
    # The teacher's split, without one of its training patients.
    given = {name: kind for kind in ("train", "val", "test") for name in split[kind]}
    left = [replace(r, split=given[r.patient]) for r in records if r.patient != lost]
    write_manifest(tmp_path / "left.csv", left)
    arguments = tiny_arguments("distill", tmp_path / "left.csv", tmp_path / "runs")
    assert main([*arguments, "--model.init_args.teacher", str(tiny_teacher)]) == 0
    folder = tmp_path / "runs/distill/tiny"
    assert lost not in (folder / "splits.json").read_text()

    student = shutil.copy(folder / "checkpoints/student.ckpt", tmp_path / "weights.ckpt")
    own = [replace(r, split="test" if r.patient == lost else given[r.patient]) for r in records]
    write_manifest(tmp_path / "all.csv", own)
    arguments = tiny_arguments("student", tmp_path / "all.csv", tmp_path / "other")
    line = refusal(*arguments, "--model.init_args.initial_weights", student)
    assert f"{student} was trained with patient {lost}, whom this training tests on" in line
    arguments = tiny_arguments("distill", tmp_path / "all.csv", tmp_path / "runs")
    arguments += ["--model.init_args.teacher", student, "--ckpt_path", "last"]
    assert f"was trained with patient {lost}, whom" in refusal(*arguments)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_user_sees_one_line(dataset, tmp_path):
    write_image(dataset / f"{BAD}.tif", np.full((48, 48), np.nan, np.float32))
    arguments = tiny_arguments("student", dataset / "manifest.csv", tmp_path / "runs")
    done = subprocess.run(
        [sys.executable, "-m", "lotus.cli", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lotus fit: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def student_run(tiny_manifest, tmp_path_factory):
    """The folder of a trained and tested run."""
    runs = tmp_path_factory.mktemp("student")
    assert main(tiny_arguments("student", tiny_manifest, runs)) == 0
    folder = runs / "student/tiny"
    assert main(["test", "--config", str(folder / "config.yaml")]) == 0
    return folder


@pytest.mark.slow
def test_a_test_that_fails_leaves_the_run_as_it_was(student_run, dataset, refusal):
    before = contents(student_run)
    write_image(dataset / "sr_microct_9.tif", np.full((48, 48), 0.5, np.float32))
    config = ("--config", student_run / "config.yaml")
    manifest = ("--data.init_args.manifest", dataset / "manifest.csv")
    for command in ("test", "predict"):
        assert "sr_microct_9.tif is constant" in refusal(command, *config, *manifest)
    assert contents(student_run) == before


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture_is_refused(student_run, tmp_path, refusal):
    before = contents(student_run)
    config = ("--config", student_run / "config.yaml")
    wide = ("--model.init_args.network.init_args.filters", "[4, 8, 16]")
    last = student_run / "checkpoints/last.ckpt"
    expected = "of another architecture than the configuration: "
    for command in ("validate", "test", "predict"):
        line = refusal(command, *config, *wide)
        assert f"{last.with_name('best.ckpt')} is {expected}" in line
    assert f"{last} is {expected}" in refusal("fit", *config, *wide, "--ckpt_path", "last")
    other = ("--run", "other", "--runs", tmp_path / "runs", "--model.init_args.initial_weights")
    line = refusal("fit", *config, *wide, *other, last)
    assert f"{last} holds another architecture than UNet" in line
    assert contents(student_run) == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_checkpoint_of_another_task_is_refused(student_run, tiny_teacher, tmp_path, refusal):
    manifest = Path(json.loads((student_run / "data.json").read_text())["manifest"])
    arguments = tiny_arguments("distill", manifest, tmp_path / "runs")[1:]
    arguments += ["--model.init_args.teacher", tiny_teacher]
    line = refusal("test", *arguments, "--ckpt_path", tiny_teacher)
    assert f"{tiny_teacher} is of another architecture than the configuration" in line


@pytest.mark.slow
def test_what_is_no_checkpoint_is_refused(student_run, tmp_path, refusal):
    config = ("--config", student_run / "config.yaml")
    truncated = tmp_path / "half.ckpt"
    checkpoint = (student_run / "checkpoints/best.ckpt").read_bytes()
    truncated.write_bytes(checkpoint[: len(checkpoint) // 2])
    output = tmp_path / "output"
    image = tmp_path / "image.tif"
    write_image(image, np.eye(64, dtype=np.float32))
    for command, *arguments in (
        ("test", *config, "--ckpt_path"),
        ("segment", image, "--output", output, "--checkpoint"),
    ):
        assert f"{truncated} is not a readable checkpoint" in refusal(
            command, *arguments, truncated
        )
        assert f"no checkpoint at {tmp_path / 'absent.ckpt'}" in refusal(
            command, *arguments, tmp_path / "absent.ckpt"
        )
    assert not output.exists()


@pytest.mark.slow
def test_a_run_is_not_overwritten(student_run, refusal):
    before = contents(student_run)
    line = refusal("fit", "--config", student_run / "config.yaml")
    assert "--ckpt_path last" in line
    assert "give another --run" in line
    assert contents(student_run) == before


MISTAKES = {
    "key of the task": (
        {"model": {"init_args": {"clas_names": ["lacuna"]}}},
        "model: lotus.tasks.SegmentationTask: Option 'clas_names' is not accepted; it takes "
        "network, class_names, ",
    ),
    "key of the network": (
        {"model": {"init_args": {"network": {"init_args": {"filter": [4, 8]}}}}},
        "lotus.networks.UNet: Option 'filter' is not accepted; it takes in_channels, out_channels, "
        "filters",
    ),
    "class of the network": (
        {"model": {"init_args": {"network": {"class_path": "lotus.networks.UNett"}}}},
        "module 'lotus.networks' has no attribute 'UNett'; did you mean lotus.networks.UNet?",
    ),
    "key of a transform": (
        {
            "data": {
                "init_args": {
                    "augmentation": [
                        {"class_path": "monai.transforms.RandFlipd", "init_args": {"key": "image"}}
                    ]
                }
            }
        },
        "augmentation: monai.transforms.RandFlipd: Option 'key' is not accepted; it takes keys, ",
    ),
    "value of the wrong type": (
        {"data": {"init_args": {"patch_size": "many"}}},
        "patch_size: Expected a <class 'int'>. Got value: many",
    ),
    "key of the trainer": (
        {"trainer": {"max_epoch": 2}},
        "does not accept option 'trainer.max_epoch'; `lotus fit --help` lists all keys",
    ),
    "section": ({"traner": {"max_epochs": 2}}, "does not accept option 'traner.max_epochs'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_named(mistake, tiny_manifest, tmp_path, refusal):
    content, expected = MISTAKES[mistake]
    (tmp_path / "mistake.yaml").write_text(json.dumps(content))
    arguments = tiny_arguments("student", tiny_manifest, tmp_path / "runs")
    line = refusal(*arguments, "--config", tmp_path / "mistake.yaml")
    assert expected in line
    assert len(line) < 300
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_mistake_on_the_command_line_is_named(tiny_manifest, tmp_path, refusal):
    arguments = tiny_arguments("student", tiny_manifest, tmp_path / "runs")
    optimizer = "--model.init_args.optimizer"
    line = refusal(*arguments, optimizer, "torch.optim.Adamm")
    assert line.endswith("did you mean torch.optim.Adam?")
    line = refusal(*arguments, optimizer, "torch.optim.SGD", f"{optimizer}.init_args.lrr", "1")
    assert "Option 'lrr' is not accepted; it takes params, lr, momentum" in line
    line = refusal(*arguments, "--trainer.precision", "17")
    assert "trainer.precision" in line
    assert "17" in line
    assert "absent.yaml" in refusal(*arguments, "--config", tmp_path / "absent.yaml")
    assert "--data CLASS_PATH" in refusal("fit", *SMALL_MODEL)


SMALL_MODEL = (
    *("--model", "lotus.tasks.SegmentationTask", "--model.class_names", "[lacuna]"),
    *("--model.network", "lotus.networks.UNet"),
)


def test_an_unknown_kind_of_message_is_kept():
    assert shortened("something new", "test") == "something new; `lotus test --help` lists all keys"


@pytest.mark.parametrize("case", SPOILT_IMAGES)
def test_enhance_refuses_a_spoilt_image(case, tmp_path, refusal):
    spoil, expected = SPOILT_IMAGES[case]
    image, output = tmp_path / "image.tif", tmp_path / "enhanced"
    (tmp_path / "images").mkdir()
    for path in (image, tmp_path / "images/b.tif"):
        write_image(path, np.random.default_rng(0).random((48, 48), np.float32))
        spoil(path)
    line = refusal("enhance", image, "--output", tmp_path / "enhanced.tif")
    assert "image.tif" in line
    assert re.search(expected, line), line
    assert "b.tif" in refusal("enhance", tmp_path / "images", "--output", output)
    assert contents(output) == {}
    assert not (tmp_path / "enhanced.tif").exists()


@pytest.mark.slow
@pytest.mark.parametrize("case", [*SPOILT_IMAGES, "stack"])
def test_segment_refuses_a_spoilt_image(case, student_run, tmp_path, refusal):
    spoil, expected = {**SPOILT_IMAGES, "stack": STACK}[case]
    image, output = tmp_path / "image.tif", tmp_path / "output"
    write_image(image, np.random.default_rng(0).random((48, 48), np.float32))
    spoil(image)
    checkpoint = ("--checkpoint", student_run / "checkpoints/best.ckpt", "--device", "cpu")
    line = refusal("segment", image, "--output", output, *checkpoint)
    assert "image.tif" in line
    assert re.search(expected, line), line
    assert contents(output) == {}


SPOILT_LABELS = {
    "truncated": (truncate, "truncated"),
    "another size": (lambda path: write_label_map(path, np.ones((9, 8), np.uint8)), "8×9"),
    "RGBA": (SPOILT_IMAGES["RGBA"][0], "4 channels"),
    "stack": STACK,
    "fractions": (
        lambda path: write_image(path, np.full((8, 8), 0.5, np.float32)),
        "holds whole numbers",
    ),
    "no partner": (lambda path: path.rename(path.with_name("z.tif")), "no file of that name"),
}


@pytest.mark.parametrize("case", SPOILT_LABELS)
def test_evaluate_refuses_spoilt_masks_and_keeps_the_older_table(case, tmp_path, refusal):
    spoil, expected = SPOILT_LABELS[case]
    scores = tmp_path / "scores.csv"
    scores.write_text("older")
    for folder in ("predictions", "targets"):
        for name in "ab":
            write_label_map(tmp_path / folder / f"{name}.tif", np.eye(8, dtype=np.uint8))
    spoil(tmp_path / "predictions/b.tif")
    line = refusal(*evaluation(tmp_path, scores))
    assert re.search("[bz].tif", line), line
    assert expected in line
    assert scores.read_text() == "older"


def evaluation(folder, scores):
    return (
        *("evaluate", "--predictions", folder / "predictions", "--targets", folder / "targets"),
        *("--kind", "instances", "--output", scores),
    )


def test_prepare_refuses_an_image_without_its_mask(tmp_path, refusal):
    for name in "ab":
        write_image(tmp_path / f"images/{name}.tif", np.eye(8, dtype=np.float32))
    write_label_map(tmp_path / "masks/a.tif", np.eye(8, dtype=np.uint8))
    arguments = ("prepare", "folder", tmp_path, "--output", tmp_path / "out")
    line = refusal(*arguments)
    assert "image without its mask: b.tif" in line
    write_label_map(tmp_path / "masks/b.tif", np.eye(9, 8, dtype=np.uint8))
    line = refusal(*arguments)
    assert "expected 8 x 8 as its image" in line
    truncate(tmp_path / "masks/b.tif")
    assert "b.tif" in refusal(*arguments)
    assert contents(tmp_path / "out") == {}


def test_a_full_disk_leaves_the_older_table(tmp_path, refusal):
    scores = tmp_path / "scores.csv"
    scores.write_text("older")
    for folder in ("predictions", "targets"):
        write_label_map(tmp_path / folder / "a.tif", np.eye(8, dtype=np.uint8))
    with full_disk(64):
        line = refusal(*evaluation(tmp_path, scores))
    assert line == f"lotus evaluate: {scores}: File too large"
    assert scores.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "predictions", "targets"}


def test_a_full_disk_leaves_no_half_images(student_run, tmp_path, refusal):
    image = tmp_path / "image.tif"
    write_image(image, np.random.default_rng(0).random((64, 64), np.float32))
    checkpoint = ("--checkpoint", student_run / "checkpoints/best.ckpt", "--device", "cpu")
    for command, *arguments in (
        ("enhance", image, "--output", tmp_path / "enhance/a.tif", "--opening-px", "1"),
        ("segment", image, "--output", tmp_path / "segment", *checkpoint),
        ("phantom", "sr_microct", "--output", tmp_path / "phantom", "--size", "128"),
    ):
        with full_disk(300):
            line = refusal(command, *arguments)
        assert "File too large" in line or "cannot be written" in line
        assert f": {tmp_path / command}" in line
        assert "/." not in line
        assert contents(tmp_path / command) == {}


@pytest.mark.slow
@pytest.mark.parametrize("plugins", [(), ("--trainer.plugins", "lotus.tasks.NativePrecision")])
def test_a_full_disk_leaves_the_older_checkpoint(plugins, tiny_manifest, tmp_path, refusal):
    arguments = [*tiny_arguments("student", tiny_manifest, tmp_path), *plugins]
    arguments.append("--trainer.max_epochs")
    folder = tmp_path / "student/tiny"
    assert main([*arguments, "1"]) == 0
    before = contents(folder / "checkpoints")
    with full_disk(min(map(len, before.values())) // 2):
        line = refusal(*arguments, "2", "--ckpt_path", "last")
    assert ".ckpt: File too large" in line
    assert contents(folder / "checkpoints") == before
    invocations = json.loads((folder / "environment.json").read_text())["invocations"]
    assert [invocation["status"] for invocation in invocations] == ["finished", "failed"]
    # With room again the run goes on.
    assert main([*arguments, "2", "--ckpt_path", "last"]) == 0
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1


@pytest.mark.slow
def test_several_problems_of_a_manifest_are_listed_on_lines_of_their_own(dataset, tmp_path, capsys):
    change_rows(dataset, lambda table: table.assign(group="", mask_kind="outline"))
    for command in ("fit", "crossval"):
        arguments = tiny_arguments("student", dataset / "manifest.csv", tmp_path / "runs")[1:]
        assert main([command, *arguments]) == 2
        first, *lines = capsys.readouterr().err.splitlines()
        assert first == f"lotus {command}: {dataset / 'manifest.csv'}: 40 problems"
        assert lines == [
            "  row 2, column group: found nothing, expected a value ('unknown' where there is "
            "none) (and 19 more like it)",
            "  row 2, column mask_kind: found 'outline', expected one of instances, semantic, "
            "binary (and 19 more like it)",
        ]
    assert not (tmp_path / "runs").exists()
