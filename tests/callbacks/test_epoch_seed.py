import random

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from lotus.callbacks import EpochSeed


def weights_after(trainer, task, data, checkpoint=None):
    trainer.fit(task, data, ckpt_path=checkpoint)
    return task.weight.detach().clone()


@pytest.mark.parametrize("seeded", [True, False])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    make_trainer, tmp_path, seeded, make_task, make_data
):
    callbacks = [EpochSeed(3)] if seeded else []
    pl.seed_everything(0, verbose=False)
    whole = weights_after(make_trainer(*callbacks, max_epochs=4), make_task(), make_data())

    pl.seed_everything(0, verbose=False)
    first = make_trainer(*callbacks, max_epochs=2)
    weights_after(first, make_task(), make_data())
    first.save_checkpoint(tmp_path / "last.ckpt")
    pl.seed_everything(0, verbose=False)
    second = make_trainer(*callbacks, max_epochs=4)
    resumed = weights_after(second, make_task(), make_data(), tmp_path / "last.ckpt")
    assert torch.equal(whole, resumed) == seeded


class Draws(pl.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append((torch.rand(()).item(), np.random.random(), random.random()))  # noqa: NPY002


def test_epochs_and_seeds_draw_different_numbers(make_trainer, make_task, make_data):
    draws = []
    for seed in (1, 1, 2):
        callback = Draws()
        make_trainer(EpochSeed(seed), callback, max_epochs=2).fit(make_task(), make_data())
        draws.append(callback.seen)
    assert draws[0] == draws[1]
    numbers = [number for seen in (draws[0], draws[2]) for triple in seen for number in triple]
    assert len(set(numbers)) == len(numbers) == 2 * 2 * 3 * 3


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed is -1"):
        EpochSeed(-1)
