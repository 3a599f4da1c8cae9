"""What the test of a network scores is what `lotus segment` writes, byte for byte."""

import numpy as np
import pytest
import pytorch_lightning as pl
import tifffile
import torch

from data_modules import SlabDataModule
from data_modules.manifest import Record, write_manifest
from lotus.imaging import open_volume
from lotus.inference.segment_volume import segment_volume
from lotus.inference.volume_options import VolumeOptions
from lotus.networks import Sensor3D, UNet
from lotus.tasks import SlabSegmentationTask
from tests.inference.volumes import balance

NAMES = ["lcn", "bone"]
SHAPE = (45, 40, 48)
HELD_OUT = 28


class Kept(pl.Callback):
    """The classes of every tested slice."""

    def __init__(self):
        self.classes = []

    def on_test_batch_end(self, trainer, task, outputs, *_):
        self.classes.extend(outputs["classes"])


@pytest.fixture
def one_thread():
    """As many as `lotus segment` computes in: more add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", [UNet, Sensor3D])
def test_labels_are_those_that_were_scored(tmp_path, kind, one_thread):
    grey = np.random.default_rng(0).normal(5.0, 2.0, SHAPE).astype(np.float32)
    tifffile.imwrite(tmp_path / "v.tif", grey, photometric="minisblack")
    tifffile.imwrite(tmp_path / "m.tif", (grey > 5).astype(np.uint8), photometric="minisblack")
    facts = {"mask_kind": "semantic", "modality": "ct", "patient": "P", "group": "g"}
    files = {"image": tmp_path / "v.tif", "mask": tmp_path / "m.tif", "pixel_size_um": None}
    rows = [{"z_stop": HELD_OUT, "split": "train"}, {"z_start": HELD_OUT, "split": "test"}]
    write_manifest(tmp_path / "manifest.csv", [Record(**files, **facts, **row) for row in rows])
    torch.manual_seed(0)
    network = kind(1, 3, filters=(4, 8)).eval()
    slices = getattr(network, "slices", 1)
    balance(network, torch.rand(4, *([3] if slices > 1 else []), 1, 32, 32))
    data = SlabDataModule(tmp_path / "manifest.csv", "ct", class_names=NAMES, slices=slices, gap=0)
    task, kept = SlabSegmentationTask(network, NAMES, window=32, overlap=0.5), Kept()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = pl.Trainer(accelerator="cpu", callbacks=[kept], enable_checkpointing=False, **quiet)
    trainer.test(task, data, verbose=False)
    content = {"state_dict": task.state_dict(), "volume_segmenter": task.inference_record()}
    torch.save(content, tmp_path / "a.ckpt")
    # The border of two blocks, 32, lies among the tested slices.
    output = tmp_path / "out.ome.zarr"
    segment_volume(
        tmp_path / "v.tif", output, tmp_path / "a.ckpt", VolumeOptions(device="cpu"), notify=str
    )
    with open_volume(output) as volume:
        found = [volume.read(index) for index in range(HELD_OUT, SHAPE[0])]
    assert len(np.unique(found)) == 3
    np.testing.assert_array_equal(found, kept.classes)
