"""The task that segments volumes."""

import numpy as np
import pytest
import pytorch_lightning as pl
import tifffile
import torch
from torch import nn

from data_modules import SlabDataModule
from data_modules.manifest import Record, write_manifest
from lotus.metrics.functional import confusion_matrix, confusion_scores
from lotus.networks import Sensor3D, UNet, VolumetricNetwork
from lotus.tasks import SlabSegmentationTask
from lotus.tasks.initial_weights import head_names, start_from_classes
from lotus.transforms import DtypeRange
from lotus.windows import predict_slices, slab_input

NAMES = ["lcn", "bone"]
SHAPE = (12, 40, 48)


class Context(nn.Module):
    """Every slice of a slab from all of them, with a wide view within slices."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv3d(4, 3, 3, padding=1)
        )

    def forward(self, image):
        return self.layers(image)


def networks():
    torch.manual_seed(0)
    return {
        "unet": UNet(1, 3, filters=(4, 8)),
        "sensor3d": Sensor3D(1, 3, filters=(4, 8)),
        "volumetric": VolumetricNetwork(Context(), slices=4),
    }


@pytest.fixture
def data(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", grey, photometric="minisblack")
    tifffile.imwrite(tmp_path / "m.tif", grey // 86, photometric="minisblack")
    facts = {"mask_kind": "semantic", "modality": "ct", "patient": "P", "group": "g"}
    files = {"image": tmp_path / "v.tif", "mask": tmp_path / "m.tif", "pixel_size_um": 0.1}
    rows = [{"z_stop": 7, "split": "train"}, {"z_start": 7, "split": "test"}]
    write_manifest(tmp_path / "manifest.csv", [Record(**files, **facts, **row) for row in rows])

    def make(network=None, **options):
        outputs = getattr(network, "output_slices", 1)
        slabs = {"slices": getattr(network, "slices", 1), "output_slices": outputs}
        given = {"class_names": NAMES, "preprocessing": DtypeRange(), "gap": 0} | slabs | options
        return SlabDataModule(tmp_path / "manifest.csv", "ct", **given)

    return make, grey


def trainer():
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@pytest.mark.parametrize("name", ["unet", "sensor3d", "volumetric"])
def test_what_is_tested_is_the_volume_in_one_go(data, name):
    make, grey = data
    network = networks()[name].eval()
    task = SlabSegmentationTask(network, NAMES, window=32, overlap=0.5)
    (scores,) = trainer().test(task, make(network), verbose=False)

    def predict(windows):
        with torch.inference_mode():
            slabs = slab_input(windows, 1, torch.device("cpu"))
            return task(slabs).softmax(1)

    whole = predict_slices(
        predict,
        lambda start, stop: grey[start:stop].astype(np.float32) / 255,
        SHAPE,
        (0, 12),
        slices=task.slab_network.slices,
        output_slices=task.slab_network.output_slices,
        window=32,
        overlap=0.5,
        batch_size=1,
    )
    probabilities = np.stack([values for _, values in whole])[7:]
    counts = confusion_matrix(probabilities.argmax(1), grey[7:] // 86, 2)
    expected = confusion_scores(counts, NAMES)
    assert scores["test_dice_lcn"] == pytest.approx(expected["dice_lcn"], abs=1e-6)
    assert scores["test_dice"] == pytest.approx(expected["dice"], abs=1e-6)
    assert scores["test_accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    of_truth = np.take_along_axis(probabilities, grey[7:, None] // 86, axis=1)
    assert scores["test_loss"] == pytest.approx(-np.log(of_truth).mean(), abs=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_the_cross_entropy_of_the_known_voxels(several):
    network = networks()["volumetric" if several else "sensor3d"]
    task = SlabSegmentationTask(network, NAMES)
    task.log_training_loss = lambda *arguments: None
    depth = 4 if several else 3
    mask = torch.randint(0, 3, (2, 4, 8, 8) if several else (2, 8, 8))
    ignored = torch.rand(mask.shape) < 0.3
    image = torch.rand(2, depth, 1, 8, 8)
    loss = task.training_step({"image": image, "mask": mask, "ignored": ignored}, 0)
    chosen = network(image).log_softmax(1).gather(1, mask[:, None])[:, 0]
    torch.testing.assert_close(loss, -chosen[~ignored].mean())
    whole = task.training_step({"image": image, "mask": mask}, 0)
    torch.testing.assert_close(
        whole, -network(image).log_softmax(1).gather(1, mask[:, None]).mean()
    )


def test_the_summary_says_what_the_network_is():
    network = Sensor3D(1, 3, filters=(4, 8))
    summary = SlabSegmentationTask(network, NAMES).summary()
    assert summary == {
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "slices": 3,
        "output_slices": 1,
    }


def test_the_usual_optimizer_is_that_of_keras():
    optimizer = SlabSegmentationTask(UNet(1, 3, filters=(4, 8)), NAMES).configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adadelta)
    (settings,) = optimizer.param_groups
    assert (settings["lr"], settings["rho"], settings["eps"]) == (1.0, 0.95, 1e-7)


@pytest.mark.parametrize(
    ("network", "wrong"),
    [
        (UNet(1, 2, filters=(4, 8)), r"gives \(1, 2, 64, 64\) for a slab of 1 slices"),
        (VolumetricNetwork(nn.Conv3d(1, 4, 1), 2), r"need \(1, 3, 2, 64, 64\)"),
    ],
)
def test_a_network_with_other_classes_is_refused(network, wrong):
    with pytest.raises(ValueError, match=wrong):
        SlabSegmentationTask(network, NAMES).setup("fit")


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"slices": 5}, "slabs of 5 slices with masks of 1, the network takes 3 and segments 1"),
        ({"class_names": ["pore", "bone"]}, "the classes lcn, bone, the data have pore, bone"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, options, wrong):
    make, _ = data
    task = SlabSegmentationTask(Sensor3D(1, 3, filters=(4, 8)), NAMES)
    with pytest.raises(ValueError, match=wrong):
        trainer().test(task, make(**{"slices": 3} | options), verbose=False)


@pytest.fixture
def checkpoint(tmp_path):
    """Of a Sensor3D with three classes."""
    task = SlabSegmentationTask(
        Sensor3D(1, 4, filters=(4, 8)), ["lcn", "shade_off", "bone"], in_channels=1
    )
    contents = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(contents)
    torch.save(contents, tmp_path / "first.ckpt")
    return tmp_path / "first.ckpt", task.network


def equal_weights(one, other):
    others = other.state_dict()
    return {n for n, weight in one.state_dict().items() if torch.equal(weight, others[n])}


def test_with_other_classes_all_but_the_head_is_kept(checkpoint):
    path, first = checkpoint
    network = Sensor3D(1, 3, filters=(4, 8))
    head = network.head.weight.clone()
    with pytest.warns(
        UserWarning, match=r"the head \(unet.head.bias, unet.head.weight\), which is"
    ):
        made_anew = start_from_classes(network, path, NAMES)
    assert made_anew == ["unet.head.bias", "unet.head.weight"]
    assert torch.equal(network.head.weight, head)
    kept = [name for name in first.state_dict() if "unet.head" not in name]
    for name in kept:
        assert torch.equal(network.state_dict()[name], first.state_dict()[name])


def test_with_the_same_classes_all_is_kept(checkpoint):
    path, first = checkpoint
    network = Sensor3D(1, 4, filters=(4, 8))
    assert start_from_classes(network, path, ["lcn", "shade_off", "bone"]) == []
    assert equal_weights(network, first) == set(first.state_dict())


def test_as_many_other_classes_make_the_head_anew(checkpoint):
    path, first = checkpoint
    network = Sensor3D(1, 4, filters=(4, 8))
    with pytest.warns(
        UserWarning, match="classes lcn, vessel, bone instead of lcn, shade_off, bone"
    ):
        start_from_classes(network, path, ["lcn", "vessel", "bone"])
    assert not torch.equal(network.head.weight, first.head.weight)


def test_another_architecture_is_refused(checkpoint):
    path, _ = checkpoint
    with pytest.raises(ValueError, match=r"architecture than Sensor3D: bottom\.ahead"):
        start_from_classes(Sensor3D(1, 3, filters=(4, 16)), path, NAMES)


def test_the_head_of_a_network_without_one_is_its_last_layer():
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Conv3d(2, 3, 1), nn.Softmax(1))
    assert head_names(network) == {"2.weight", "2.bias"}
