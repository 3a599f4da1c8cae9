import shutil

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
import yaml
from torch import nn

from data_modules.segmentation import SegmentationDataModule
from data_modules.unpaired import UnpairedDataModule
from lotus.cli import main
from lotus.imaging import write_image
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.tasks import SegmentationTask, UnpairedKnowledgeDistillationTask
from tests.tasks.unpaired import EXPERIMENTS, baseline_arguments, keep_log, random_batch


def random_pair():
    return {"student": random_batch(0), "teacher": random_batch(1, size=24)}


def new_task(**options):
    task = UnpairedKnowledgeDistillationTask(
        network=UNet(filters=(4, 8)), class_names=["lacuna"], **options
    )
    return keep_log(task)


def norm_weights(network):
    return {
        weight
        for layer in network.modules()
        if isinstance(layer, nn.BatchNorm2d)
        for weight in layer.parameters()
    }


def test_loss_is_both_segmentation_losses_and_half_the_divergence():
    task = new_task()
    loss = task.training_step(random_pair(), 0)
    terms = [task.logged[f"train_loss_{name}"] for name in ("student", "teacher", "kd")]
    assert all(term > 0 for term in terms)
    torch.testing.assert_close(loss, terms[0] + terms[1] + 0.5 * terms[2])


def test_every_term_sends_gradient_to_its_own_norm_layers_and_the_shared_weights():
    task = new_task()
    batch = random_pair()
    outputs = (
        task.network(batch["student"]["image"]),
        task.teacher_stream(batch["teacher"]["image"]),
    )
    own = {"student": norm_weights(task.network), "teacher": norm_weights(task.teacher_stream)}
    shared = set(task.parameters()) - own["student"] - own["teacher"]
    terms = {
        "student": task.segmentation_loss(outputs[0], batch["student"]),
        "teacher": task.segmentation_loss(outputs[1], batch["teacher"]),
        "kd": task._divergence(*outputs, batch["student"], batch["teacher"]),
    }
    expected = {
        "student": shared | own["student"],
        "teacher": shared | own["teacher"],
        "kd": shared | own["student"] | own["teacher"],
    }
    for name, term in terms.items():
        task.zero_grad()
        term.backward(retain_graph=True)
        found = {weight for weight in task.parameters() if weight.grad is not None}
        assert found == expected[name], name
        assert all(weight.grad.any() for weight in own.get(name, ())), name


def test_the_optimizer_has_every_weight_once():
    task = new_task()
    weights = [
        weight for group in task.configure_optimizers().param_groups for weight in group["params"]
    ]
    assert len(weights) == len(set(weights))
    plain = len(list(UNet(filters=(4, 8)).parameters()))
    assert len(weights) == plain + len(norm_weights(task.network))


def test_deep_supervision_distils_the_finest_logits():
    task = new_task()
    batch = random_pair()
    student, teacher = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 24, 24)
    pair = batch["student"], batch["teacher"]
    found = task._divergence([student, student[..., ::2, ::2]], [teacher], *pair)
    torch.testing.assert_close(found, task._divergence(student, teacher, *pair))


def test_evaluation_is_the_student_stream():
    task = new_task().eval()
    image = torch.rand(1, 3, 16, 16)
    before = task(image)
    task.teacher_stream.train()(5 * torch.rand(2, 3, 16, 16))
    torch.testing.assert_close(task(image), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lambda_kd": -0.5}, "lambda_kd >= 0, got -0.5"),
        ({"temperature": 0.0}, "temperature must be positive"),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        new_task(**options)


class Watched(UnpairedKnowledgeDistillationTask):
    """Keeps the names of the images it was shown."""

    def on_train_batch_start(self, batch, batch_idx):
        for role in ("student", "teacher"):
            self.shown.setdefault(role, set()).update(batch[role]["patient"])

    def test_step(self, batch, batch_idx):
        self.shown.setdefault("test", set()).update(batch["patient"])
        self.shown.setdefault("test images", set()).update(batch["name"])
        return super().test_step(batch, batch_idx)


def test_no_test_patient_is_seen_in_training_in_either_modality(tiny_manifest, tmp_path):
    options = {"class_names": ["lacuna"], "patch_size": 32, "batch_size": 4}
    data = UnpairedDataModule(
        SegmentationDataModule(tiny_manifest, "sr_microct", samples_per_epoch=40, **options),
        SegmentationDataModule(tiny_manifest, "histology", **options),
    )
    task = Watched(network=UNet(filters=(2, 4)), class_names=["lacuna"])
    task.shown = {}
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(task, data)
    trainer.test(task, data, verbose=False)
    shown = task.shown
    assert len(shown["student"]) > 3
    assert len(shown["teacher"]) > 3
    assert not (shown["student"] | shown["teacher"]) & shown["test"]
    assert {name.rpartition("_")[0] for name in shown["test images"]} == {"sr_microct"}


@pytest.fixture(scope="module")
def trained(tiny_manifest, tmp_path_factory):
    runs = tmp_path_factory.mktemp("ummkd")
    assert main(baseline_arguments("ummkd", tiny_manifest, runs)) == 0
    return runs / "ummkd/tiny"


@pytest.mark.slow
def test_the_baseline_is_a_layer_of_experiment_and_model_alone(trained):
    assert set(yaml.safe_load((EXPERIMENTS / "baselines/ummkd.yaml").read_text())) == {
        "experiment",
        "model",
    }
    arguments = yaml.safe_load((trained / "config.yaml").read_text())["model"]["init_args"]
    assert arguments["network"]["class_path"] == "lotus.networks.UNet"
    assert arguments["lambda_kd"] == 0.5
    assert arguments["optimizer"]["init_args"]["lr"] == 0.003, "of the preset"
    assert not {"teacher", "alignment", "lambda_ifv"} & set(arguments)


@pytest.mark.slow
def test_curves_hold_every_term(trained):
    curves = pd.read_csv(trained / "metrics.csv").groupby("epoch").first()
    terms = [curves[f"train_loss_{name}"] for name in ("student", "teacher", "kd")]
    total = terms[0] + terms[1] + 0.5 * terms[2]
    assert curves["train_loss"].tolist() == pytest.approx(total.tolist(), rel=1e-5)


@pytest.mark.slow
def test_test_and_predict(trained):
    config = str(trained / "config.yaml")
    assert main(["test", "--config", config]) == 0
    scores = pd.read_csv(trained / "scores.csv")
    assert len(scores) == 3
    assert scores["name"][:2].str.startswith("sr_microct").all()
    assert scores["dice"].between(0, 1).all()
    assert main(["predict", "--config", config]) == 0
    assert len(list((trained / "predict/predictions").iterdir())) == 2


@pytest.mark.slow
def test_a_checkpoint_alone_is_the_student_stream(trained, tiny_manifest, tmp_path):
    checkpoint = trained / "checkpoints/last.ckpt"
    task = UnpairedKnowledgeDistillationTask.load_from_checkpoint(checkpoint).eval()
    assert task.network.head.weight is task.teacher_stream.head.weight
    image = torch.rand(1, 3, 32, 32)
    expected, other = task(image), task.teacher_stream(image)
    assert not torch.allclose(expected, other), "both streams have been trained apart"
    segmenter = load_segmenter(shutil.copy(checkpoint, tmp_path / "alone.ckpt"), "cpu")
    torch.testing.assert_close(segmenter.networks[0](image), expected)
    assert len(segmenter.networks[0].state_dict()) == len(UNet(filters=(4, 8)).state_dict())

    write_image(tmp_path / "image.tif", np.random.default_rng(0).random((40, 40), np.float32))
    arguments = ["segment", str(tmp_path / "image.tif"), "--checkpoint", str(checkpoint)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert any((tmp_path / "out").rglob("*.tif"))


@pytest.mark.slow
def test_another_task_can_start_from_it(trained):
    checkpoint = trained / "checkpoints/last.ckpt"
    task = SegmentationTask(UNet(filters=(4, 8)), ["lacuna"], initial_weights=checkpoint)
    expected = load_segmenter(checkpoint, "cpu").networks[0].state_dict()
    for name, value in task.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.slow
def test_a_stopped_and_resumed_run_ends_with_the_same_weights(trained, tiny_manifest, tmp_path):
    arguments = baseline_arguments("ummkd", tiny_manifest, tmp_path)
    assert main([*arguments, "--trainer.max_epochs", "1"]) == 0
    assert main([*arguments, "--ckpt_path", "last"]) == 0
    expected, found = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (trained, tmp_path / "ummkd/tiny")
    )
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
