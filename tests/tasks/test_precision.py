"""bfloat16 where the processor has it, and nowhere else."""

import json
import platform
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lotus.tasks import NativePrecision
from lotus.tasks.precision import computes_bfloat16, inference_precision


class Probe(pl.LightningModule):
    """Notes the type of a product in each kind of step."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.found = set()

    def _product(self, batch):
        product = self.layer(batch)
        self.found.add(product.dtype)
        return product.float().mean()

    def training_step(self, batch):
        return self._product(batch)

    def validation_step(self, batch):
        self._product(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def trained(tmp_path):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=1,
        plugins=[NativePrecision()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    model = Probe()
    batches = DataLoader(torch.ones(2, 2))
    trainer.fit(model, batches, batches)
    return trainer, model


def test_steps_run_in_the_precision_that_is_stated(trained):
    trainer, model = trained
    stated = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}[trainer.precision]
    assert model.found == {stated}
    assert model.layer.weight.dtype == torch.float32


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").is_file(),
    reason="the reference is Linux's list of x86 abilities",
)
def test_processor_is_judged_as_the_kernel_lists_it(trained):
    abilities = Path("/proc/cpuinfo").read_text().split()
    native = bool({"avx512_bf16", "amx_bf16"} & set(abilities))
    assert computes_bfloat16(torch.device("cpu")) == native
    assert trained[0].precision == ("bf16-mixed" if native else "32-true")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"plugins": [NativePrecision()]}, "bf16"),
        ({"precision": "bf16-mixed"}, "bf16"),
        ({"precision": "32-true"}, "32"),
        ({}, "32"),
    ],
)
def test_what_a_checkpoint_is_used_in_is_what_it_was_validated_in(options, expected, tmp_path):
    """On a device that computes bfloat16; elsewhere it is float32, whoever trained it."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, **options)
    assert inference_precision(trainer) == expected


def test_unknown_devices_compute_in_float32():
    assert not computes_bfloat16(torch.device("meta"))


def test_run_record_states_the_precision(tiny_teacher):
    record = json.loads((tiny_teacher.parents[1] / "environment.json").read_text())
    assert record["precision"] == "32-true"
