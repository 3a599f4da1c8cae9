"""Every way in by which a patient of the test could be known already is looked at."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import Splits, make_splits
from lotus.cli import main
from lotus.networks import UNet
from lotus.tasks import (
    ModalityAwareMutualLearningTask,
    SegmentationTask,
    UnpairedKnowledgeDistillationTask,
)
from lotus.training.known_patients import COHORT, known_patients
from tests.conftest import tiny_arguments


class GuidedTask(SegmentationTask):
    """A task to come: another network draws masks that guide this one."""

    def __init__(self, *, guide: Path, **kwargs):
        super().__init__(**kwargs)
        self.guide = guide

    def origins(self):
        """The guide, too."""
        return [self.guide, *super().origins()]


@pytest.fixture(scope="module")
def tested(tiny_manifest):
    """A patient that the split of the tiny manifest tests."""
    return make_splits(read_manifest(tiny_manifest), (0.6, 0.2, 0.2)).test[0]


@pytest.fixture
def knowing(tested, tmp_path):
    """A checkpoint of fitting weights that knows the patient, and its record."""
    record = known_patients([], Splits((tested,), (), (), 0, "hash", "drawn"), COHORT)
    network = UNet(filters=(4, 8))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": state, "patients": record}, path)
    return path, record


def origin_of_a_mask(manifest, origin, kind, split, tmp_path):
    """A manifest in which one histology mask of a split has an origin."""
    records = read_manifest(manifest)
    members = getattr(split, kind)
    first = next(r for r in records if r.modality == "histology" and r.patient in members)
    changed = [replace(r, origin=origin) if r is first else r for r in records]
    write_manifest(tmp_path / "drawn.csv", changed)
    return tmp_path / "drawn.csv"


def refused(arguments, path, tested, tmp_path, capsys):
    assert main([*arguments]) == 2
    line = capsys.readouterr().err
    assert f"{path} was trained with patient {tested}, whom this training tests on" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_weights_to_start_from(knowing, tested, tiny_manifest, tmp_path, capsys):
    arguments = tiny_arguments("teacher", tiny_manifest, tmp_path / "runs")
    arguments += ["--model.init_args.initial_weights", str(knowing[0])]
    refused(arguments, knowing[0], tested, tmp_path, capsys)


@pytest.mark.slow
def test_an_argument_that_only_the_task_knows(knowing, tested, tiny_manifest, tmp_path, capsys):
    arguments = tiny_arguments("teacher", tiny_manifest, tmp_path / "runs")
    arguments += ["--model", "tests.training.test_origins.GuidedTask"]
    arguments += ["--model.init_args.guide", str(knowing[0])]
    refused(arguments, knowing[0], tested, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "val"])
def test_masks_that_a_model_drew(kind, knowing, tested, tiny_manifest, tmp_path, capsys):
    """By its checkpoint, or by the record alone where the checkpoint is gone."""
    path, record = knowing
    split = make_splits(read_manifest(tiny_manifest), (0.6, 0.2, 0.2))
    alone = tmp_path / "known.json"
    alone.write_text(json.dumps(record))
    for origin in (path, alone):
        manifest = origin_of_a_mask(tiny_manifest, origin, kind, split, tmp_path)
        arguments = tiny_arguments("teacher", manifest, tmp_path / "runs")
        refused(arguments, origin, tested, tmp_path, capsys)


@pytest.mark.slow
def test_masks_of_the_test_may_be_drawn_by_whom_they_may_be_drawn(
    knowing, tiny_manifest, tmp_path, tested
):
    """Only what is trained on or chosen by hands its patients down."""
    split = make_splits(read_manifest(tiny_manifest), (0.6, 0.2, 0.2))
    manifest = origin_of_a_mask(tiny_manifest, knowing[0], "test", split, tmp_path)
    assert main(tiny_arguments("teacher", manifest, tmp_path / "runs")) == 0
    best = torch.load(tmp_path / "runs/teacher/tiny/checkpoints/best.ckpt", weights_only=True)
    assert tested not in best["patients"]["cohorts"][COHORT]


@pytest.mark.slow
def test_the_record_of_an_origin_is_handed_down(knowing, tiny_manifest, tmp_path, tested):
    """The pseudo-labels of a network that knew somebody else are in the heir's record."""
    split = make_splits(read_manifest(tiny_manifest), (0.6, 0.2, 0.2))
    known = {"cohorts": {COHORT: ["X"], "elsewhere": [tested]}, "unrecorded": []}
    (tmp_path / "known.json").write_text(json.dumps(known))
    manifest = origin_of_a_mask(tiny_manifest, tmp_path / "known.json", "train", split, tmp_path)
    assert main(tiny_arguments("teacher", manifest, tmp_path / "runs")) == 0
    best = torch.load(tmp_path / "runs/teacher/tiny/checkpoints/best.ckpt", weights_only=True)
    assert best["patients"]["cohorts"][COHORT] == sorted([*split.train, *split.val, "X"])
    assert best["patients"]["cohorts"]["elsewhere"] == [tested]


@pytest.mark.slow
def test_a_checkpoint_that_is_gone_on_with(knowing, tested, tiny_manifest, tmp_path, capsys):
    folder = tmp_path / "runs/teacher/tiny/checkpoints"
    folder.mkdir(parents=True)
    last = Path(shutil.copy(knowing[0], folder / "last.ckpt"))
    arguments = tiny_arguments("teacher", tiny_manifest, tmp_path / "runs")
    assert main([*arguments, "--ckpt_path", "last"]) == 2
    assert f"{last} was trained with patient {tested}, whom" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"cohorts": {}}'])
def test_a_record_that_is_none_is_refused(content, tmp_path):
    (tmp_path / "known.json").write_text(content)
    with pytest.raises(ValueError, match=r"known\.json"):
        known_patients([tmp_path / "known.json"], Splits(("a",), (), (), 0, "", ""), COHORT)


def test_tasks_name_what_they_start_from(knowing):
    path, _ = knowing
    for kind in (ModalityAwareMutualLearningTask, UnpairedKnowledgeDistillationTask):
        common = {"network": UNet(filters=(4, 8)), "class_names": ["lacuna"]}
        assert kind(**common).origins() == []
        assert kind(**common, initial_weights=path).origins() == [path]
