"""A guided classifier through the command line, on patches of slices as they are in files."""

import json

import pytest
import torch

from lotus.cli import main
from lotus.inference.classifier import load_classifier
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.runs import RunFolder
from lotus.runs.classified import read_classified
from lotus.runs.scores import read_scores
from lotus.tasks import SegmentationTask
from lotus.tasks.checkpoint import classifier_of, read_checkpoint, state_of
from tests.data_modules.test_patch_classification import TWELVE, draw_slices, write_table

DTYPE_RANGE = {"class_path": "lotus.transforms.DtypeRange", "init_args": {}}


@pytest.fixture
def slices(tmp_path):
    write_table(tmp_path, draw_slices(tmp_path, TWELVE))
    return tmp_path


def segmenter(folder, knows):
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"])
    record = task.inference_record() | {"spacing_um": [2.0, 2.0], "preprocessing": DTYPE_RANGE}
    patients = {"cohorts": {"default": knows}, "unrecorded": []}
    contents = {"state_dict": task.state_dict(), "segmenter": record, "patients": patients}
    torch.save(contents, folder / "unet.ckpt")
    return folder / "unet.ckpt"


def guided_by(folder, guide):
    backbone = {
        "class_path": "lotus.networks.TimmClassifier",
        "init_args": {"name": "test_resnet", "weights": str(folder / "resnet.pth")},
    }
    network = {
        "class_path": "lotus.networks.GuidedClassifier",
        "init_args": {"backbone": backbone},
    }
    return {
        "class_path": "lotus.tasks.GuidedClassificationTask",
        "init_args": {"network": network, "guide": str(guide)},
    }


def arguments(folder, model, **settings):
    data = {
        "manifest": str(folder / "manifest.csv"),
        "modality": "ct",
        "patches": str(folder / "patches.csv"),
        "preprocessing": DTYPE_RANGE,
        "resize": 32,
        "batch_size": 8,
        "samples_per_epoch": 8,
        "split_fractions": [0.5, 0.25, 0.25],
        "cache": str(folder / "cache"),
        **settings,
    }
    config = {
        "experiment": "mga",
        "model": model,
        "data": {"class_path": "data_modules.PatchClassificationDataModule", "init_args": data},
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        },
    }
    (folder / "mga.yaml").write_text(json.dumps(config))
    return ["--config", str(folder / "mga.yaml"), "--runs", str(folder / "runs"), "--run", "one"]


@pytest.mark.slow
def test_a_guided_classifier_is_trained_and_tested(slices, capsys):
    import timm

    torch.save(timm.create_model("test_resnet").state_dict(), slices / "resnet.pth")
    guide = segmenter(slices, knows=[])
    assert main(["fit", *arguments(slices, guided_by(slices, guide))]) == 0
    run = RunFolder(slices / "runs/mga/one")
    model = json.loads(run.model.read_text())
    assert model["weights_source"] == f"file {slices / 'resnet.pth'}"
    assert model["guide"] == str(guide)
    splits = json.loads(run.splits.read_text())
    # The U-Net drew on every slice that trains and validates, once.
    drawn = len([*(slices / "cache").glob("guide-*")])
    assert drawn == len(splits["train"]) + len(splits["val"])
    assert main(["test", "--config", str(run.config)]) == 0
    table = read_classified(run.classified)
    assert set(table["patient"]) == set(splits["test"])
    assert len(read_scores(run.scores)) == len(table)
    record = classifier_of(read_checkpoint(run.best), run.best)
    assert record["class_names"] == ["healthy", "osteoporotic"]
    assert (record["resize"], record["spacing_um"]) == (32, [2.0, 2.0])
    backbone = record["network"]["init_args"]["backbone"]["init_args"]
    assert (backbone["name"], backbone["weights"]) == ("test_resnet", None)
    assert "val_balanced_accuracy" in run.curves.read_text()
    classifier = load_classifier(run.path, device="cpu")
    assert (classifier.class_names, classifier.resize) == (["healthy", "osteoporotic"], 32)
    assert classifier.weights_source == model["weights_source"]
    image = torch.rand(1, 3, 32, 32)
    state = state_of(read_checkpoint(run.best), "network.")
    assert not classifier.network.training
    for name, value in classifier.network.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert classifier.parts.head(classifier.parts.features(image)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"unet.ckpt is a segmenter's, not a classifier's"):
        load_classifier(guide)
    with pytest.raises(ValueError, match="is a classifier's, not a segmenter's"):
        load_segmenter(run.path)
    capsys.readouterr()
    segment = ["segment", str(slices / "image/s00.png"), "--checkpoint", str(run.path)]
    assert main([*segment, "--output", str(slices / "out")]) == 2
    assert "it gives groups, no masks" in capsys.readouterr().err


@pytest.mark.slow
def test_a_guide_that_knows_a_test_patient_is_refused(slices, capsys):
    import timm

    torch.save(timm.create_model("test_resnet").state_dict(), slices / "resnet.pth")
    guide = segmenter(slices, knows=[row["patient"] for row in TWELVE])
    assert main(["fit", *arguments(slices, guided_by(slices, guide))]) == 2
    assert "unet.ckpt was trained with patient" in capsys.readouterr().err


@pytest.mark.slow
def test_a_joint_network_learns_from_slices_with_and_without_masks(tmp_path):
    rows = [row | ({} if number % 3 else {"mask": None}) for number, row in enumerate(TWELVE)]
    write_table(tmp_path, draw_slices(tmp_path, rows))
    backbone = {
        "class_path": "lotus.networks.TimmClassifier",
        "init_args": {"name": "test_resnet"},
    }
    network = {
        "class_path": "lotus.networks.JointClassifier",
        "init_args": {"backbone": backbone, "decoder_channels": [8, 8, 8, 4, 4]},
    }
    model = {
        "class_path": "lotus.tasks.JointClassificationTask",
        "init_args": {
            "network": network,
            "weighting": {"class_path": "lotus.losses.UncertaintyWeights"},
        },
    }
    assert main(["fit", *arguments(tmp_path, model, annotated=True)]) == 0
    run = RunFolder(tmp_path / "runs/mga/one")
    curves = run.curves.read_text().splitlines()[0].split(",")
    assert {"train_loss_segmentation", "train_loss_guidance", "val_dice"} <= set(curves)
    assert main(["test", "--config", str(run.config)]) == 0
    assert len(read_classified(run.classified)) == len(read_scores(run.scores))
    classifier = load_classifier(run.path, device="cpu")
    assert classifier.network(torch.rand(1, 3, 32, 32)).shape == (1, 2)
