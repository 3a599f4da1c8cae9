import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from monai.networks.nets import BasicUNet
from monai.networks.nets import UNet as MonaiUNet

from lotus.cli import main
from lotus.imaging import write_image
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.tasks import ModalityAwareMutualLearningTask
from tests.tasks.unpaired import EXPERIMENTS, baseline_arguments, keep_log, random_batch

PARTS = ("network", "teacher_stream", "fusion")


def new_task(network=None, **options):
    network = network or UNet(filters=(4, 8))
    return keep_log(
        ModalityAwareMutualLearningTask(network=network, class_names=["lacuna"], **options)
    )


def test_loss_is_both_single_losses_and_half_the_joint_one():
    task = new_task()
    loss = task.training_step({"student": random_batch(0), "teacher": random_batch(1)}, 0)
    terms = [task.logged[f"train_loss_{name}"] for name in ("student", "teacher", "joint")]
    assert all(term > 0 for term in terms)
    torch.testing.assert_close(loss, terms[0] + terms[1] + 0.5 * terms[2])


@pytest.mark.parametrize(
    ("term", "parts"),
    [("student", {"network"}), ("teacher", {"teacher_stream"}), ("joint", set(PARTS))],
)
def test_each_term_trains_its_own_parts_and_nothing_else(term, parts):
    task = new_task()
    task._terms(random_batch(0), random_batch(1))[term].backward()
    found = {
        part
        for part in PARTS
        for weight in task.get_submodule(part).parameters()
        if weight.grad is not None and weight.grad.any()
    }
    assert found == parts


def test_a_fused_output_teaches_features_and_not_the_single_heads():
    task = new_task()
    task._terms(random_batch(0), random_batch(1))["joint"].backward()
    for stream in (task.network, task.teacher_stream):
        without = {name for name, weight in stream.named_parameters() if weight.grad is None}
        assert without == {"head.weight", "head.bias"}


def test_the_fused_output_is_trained_on_the_students_truth():
    task = new_task().eval()
    student, teacher = random_batch(0), random_batch(1)
    before = task._terms(student, teacher)
    flipped = {**teacher, "mask": 1 - teacher["mask"], "instances": 1 - teacher["instances"]}
    after = task._terms(student, flipped)
    assert after["joint"] == before["joint"]
    assert after["teacher"] != before["teacher"]


def test_the_streams_share_nothing_and_start_alike():
    task = new_task()
    weights = [set(task.get_submodule(part).parameters()) for part in PARTS]
    assert sum(map(len, weights)) == len(set.union(*weights)) == len(list(task.parameters()))
    image = torch.rand(1, 3, 16, 16)
    task.eval()
    torch.testing.assert_close(task.network(image), task.teacher_stream(image))


def test_any_network_that_ends_in_a_convolution_will_do():
    task = new_task(BasicUNet(2, 3, 1, features=(4, 4, 8, 8, 8, 6)))
    batch = {"student": random_batch(0, 32), "teacher": random_batch(1, 32)}
    task.training_step(batch, 0).backward()
    assert task.fusion.common.out_channels == 6
    assert all(weight.grad is not None for weight in task.parameters()), "needed by processes"


def test_a_network_whose_logits_are_not_those_of_its_features_is_refused():
    network = MonaiUNet(2, 3, 1, (4, 8), (2,), num_res_units=2)
    with pytest.raises(ValueError, match="UNet is not the head of its"):
        new_task(network).setup("fit")


def test_crops_of_unlike_size_are_refused():
    with pytest.raises(ValueError, match="give both modalities the same patch_size"):
        new_task().training_step({"student": random_batch(0), "teacher": random_batch(1, 32)}, 0)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="lambda_joint >= 0, got -1"):
        new_task(lambda_joint=-1.0)


@pytest.fixture(scope="module")
def trained(tiny_manifest, tmp_path_factory):
    runs = tmp_path_factory.mktemp("maml")
    with pytest.warns(UserWarning, match="pseudo-paired") as said:
        assert main(baseline_arguments("maml", tiny_manifest, runs)) == 0
    assert sum("pseudo-paired" in str(warning.message) for warning in said) == 1
    return runs / "maml/tiny"


@pytest.mark.slow
def test_the_baseline_is_a_layer_of_experiment_and_model_alone(trained):
    layer = yaml.safe_load((EXPERIMENTS / "baselines/maml.yaml").read_text())
    assert set(layer) == {"experiment", "model"}
    arguments = yaml.safe_load((trained / "config.yaml").read_text())["model"]["init_args"]
    assert arguments["network"]["class_path"] == "lotus.networks.UNet"
    assert arguments["lambda_joint"] == 0.5
    assert not {"teacher", "alignment", "lambda_ifv"} & set(arguments)


@pytest.mark.slow
def test_the_run_says_that_its_images_are_no_pairs(trained):
    assert json.loads((trained / "data.json").read_text())["paired"] is False


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
def test_a_checkpoint_alone_is_the_students_network(trained, tmp_path):
    checkpoint = trained / "checkpoints/last.ckpt"
    task = ModalityAwareMutualLearningTask.load_from_checkpoint(checkpoint).eval()
    image = torch.rand(1, 3, 32, 32)
    expected = task(image)
    assert not torch.allclose(expected, task.teacher_stream(image)), "trained apart"
    segmenter = load_segmenter(shutil.copy(checkpoint, tmp_path / "alone.ckpt"), "cpu")
    torch.testing.assert_close(segmenter.networks[0](image), expected)

    write_image(tmp_path / "image.tif", np.random.default_rng(0).random((40, 40), np.float32))
    arguments = ["segment", str(tmp_path / "image.tif"), "--checkpoint", str(checkpoint)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert any((tmp_path / "out").rglob("*.tif"))


@pytest.mark.slow
def test_a_stopped_and_resumed_run_ends_with_the_same_weights(trained, tiny_manifest, tmp_path):
    arguments = baseline_arguments("maml", tiny_manifest, tmp_path)
    assert main([*arguments, "--trainer.max_epochs", "1"]) == 0
    assert main([*arguments, "--ckpt_path", "last"]) == 0
    expected, found = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for run in (trained, tmp_path / "maml/tiny")
    )
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
