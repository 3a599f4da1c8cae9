"""The learning rate of tasks that warm up, as the optimizer has it in every step."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lotus.tasks.warm_up import WarmUpTask, share_of_rate


class OneWeight(WarmUpTask):
    def __init__(self, **kwargs):
        super().__init__(lambda weights: torch.optim.SGD(weights, lr=2.0), **kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rates = []

    def training_step(self, batch, batch_idx):
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return self.weight


def rates(folder, **kwargs):
    task = OneWeight(**kwargs)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(task, DataLoader(TensorDataset(torch.zeros(4, 1))))
    return task.rates


def test_rises_and_falls_over_all_steps(tmp_path):
    found = rates(tmp_path, warm_up=0.25)  # two of eight steps
    assert found == pytest.approx([2 * share_of_rate(step, 8, 2) for step in range(8)])
    assert found.index(max(found)) == 2
    assert max(found) == 2.0


def test_a_scheduler_goes_before(tmp_path):
    def constant(optimizer):
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=9)

    assert rates(tmp_path, lr_scheduler=constant) == [1.0] * 8


def test_a_warm_up_of_all_steps_is_refused():
    with pytest.raises(ValueError, match="warm_up is 1; expected a share"):
        OneWeight(warm_up=1.0)
