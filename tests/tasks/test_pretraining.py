"""A step of LeJEPA, its learning rate, its fixed validation, and what a pretraining leaves."""

import copy
import math

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader

from lotus.losses import LeJEPALoss, SIGReg, view_invariance
from lotus.networks import VisionTransformer
from lotus.runs import RunFolder
from lotus.tasks import LeJEPATask
from lotus.tasks.checkpoint import segmenter_of
from lotus.tasks.encoder_file import patients_of
from lotus.transforms import MultiCropViews

OPTIONS = {"embed_dim": 24, "depth": 2, "num_heads": 3}
VIEWS = {"global_size": 32, "local_size": 16, "local_count": 3}


def encoder(weights=None):
    return VisionTransformer("vit_tiny_patch16_224", OPTIONS, weights)


def task(**options):
    torch.manual_seed(0)
    given = {
        "views": MultiCropViews(**VIEWS),
        "embedding": 6,
        "hidden": 10,
        "loss": LeJEPALoss(sigreg=SIGReg(directions=7)),
    }
    return LeJEPATask(encoder(), **(given | options))


def batches(count=4, size=5):
    random = torch.Generator().manual_seed(1)
    colours = torch.rand(count * size, 3, 1, 1, generator=random)
    images = 0.8 * colours + 0.2 * torch.rand(count * size, 3, 40, 40, generator=random)
    return DataLoader([{"image": image} for image in images], batch_size=size)


def quiet_trainer(tmp_path, **options):
    given = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(
        accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **(given | options)
    )


class Watch(pl.Callback):
    """Keeps the learning rate and the logged values of every step, and the last epoch's scores."""

    def __init__(self):
        self.rates, self.losses, self.validated = [], [], []

    def on_train_batch_start(self, trainer, *_):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_epoch_end(self, trainer, *_):
        names = ("val_loss", "val_sigreg", "val_invariance", "val_sigreg_per_image")
        self.validated.append([float(trainer.callback_metrics[name]) for name in names])


def test_a_step_is_the_loss_of_all_views_projected_together():
    own = task().train()
    views = own.views(torch.rand(5, 3, 40, 40), torch.Generator().manual_seed(0))
    found = own.losses(views)
    assert set(found) == {"loss", "sigreg", "invariance", "sigreg_per_image"}

    twin = copy.deepcopy(own)
    each = [twin.encoder(view) for view in (*views.global_views, *views.local_views)]
    hidden = torch.cat(each)
    for layer in twin.projector:
        hidden = layer(hidden)
    embeddings = torch.stack(hidden.split(5))
    assert embeddings.shape == (5, 5, 6)
    sigreg = SIGReg(directions=7)(embeddings, step=0)
    expected = 0.05 * sigreg + 0.95 * view_invariance(embeddings, 2)
    torch.testing.assert_close(found["sigreg"], sigreg)
    torch.testing.assert_close(found["sigreg_per_image"], sigreg / 5)
    torch.testing.assert_close(found["loss"], expected)

    found["loss"].backward()
    expected.backward()
    for (name, weight), other in zip(own.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, rtol=1e-3, atol=1e-6)
        assert weight.grad is not None, name


def test_the_projector_is_that_of_the_method():
    projector = LeJEPATask(encoder(), embedding=64).projector
    kinds = [type(layer) for layer in projector if not isinstance(layer, nn.Dropout)]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [*block, *block, nn.Linear]
    widths = [layer.out_features for layer in projector if isinstance(layer, nn.Linear)]
    assert widths == [2048, 2048, 64]
    assert all(layer.p == 0 for layer in projector if isinstance(layer, nn.Dropout))


def test_the_learning_rate_rises_and_falls_step_by_step(tmp_path):
    watch = Watch()
    trainer = quiet_trainer(tmp_path, max_epochs=5, callbacks=[watch], limit_val_batches=0)
    trainer.fit(task(warm_up=0.2), batches())
    assert len(watch.rates) == 20
    assert watch.rates[:4] == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4])
    # Half a cosine over the 16 steps that are left, from the whole to a thousandth.
    falling = [
        5e-4 * (0.001 + 0.999 * (1 + math.cos(math.pi * step / 15)) / 2) for step in range(16)
    ]
    assert watch.rates[4:] == pytest.approx(falling)
    assert watch.rates[-1] == pytest.approx(5e-7)
    options = trainer.optimizers[0].param_groups[0]
    assert isinstance(trainer.optimizers[0], torch.optim.AdamW)
    assert options["weight_decay"] == 5e-2


def test_a_scheduler_of_ones_own_takes_the_place_of_warm_up_and_cosine(tmp_path):
    watch = Watch()
    halved = task(lr_scheduler=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.5))
    trainer = quiet_trainer(tmp_path, max_epochs=2, callbacks=[watch], limit_val_batches=0)
    trainer.fit(halved, batches(2))
    assert watch.rates == pytest.approx([5e-4, 5e-4, 2.5e-4, 2.5e-4])


def test_validation_looks_at_the_same_views_and_directions_every_time(tmp_path):
    """With a learning rate of 0 nothing may change, nor do statistics that training moves."""
    own = task(optimizer=lambda weights: torch.optim.SGD(weights, lr=0.0))
    watch = Watch()
    trainer = quiet_trainer(tmp_path, max_epochs=3, callbacks=[watch])
    trainer.fit(own, batches(2), batches(2))
    assert watch.validated[0] == watch.validated[1] == watch.validated[2]
    loss, sigreg, invariance, per_image = watch.validated[0]
    assert loss == pytest.approx(0.05 * sigreg + 0.95 * invariance, rel=1e-5)
    assert per_image == pytest.approx(sigreg / 5, rel=1e-5)


class AtStepThree(LeJEPATask):
    """A task in the middle of its training."""

    global_step = 3


def test_directions_are_those_of_the_step():
    own = AtStepThree(encoder(), embedding=6, hidden=10, loss=LeJEPALoss(sigreg=SIGReg(7)))
    views = MultiCropViews(**VIEWS)(torch.rand(5, 3, 40, 40))
    seen = []
    own.projector.register_forward_hook(lambda *call: seen.append(call[2].detach().view(5, 5, 6)))
    for training, step in ((True, 3), (False, 0)):
        found = own.train(training).losses(views)["sigreg"]
        torch.testing.assert_close(found.detach(), SIGReg(7)(seen[-1], step))
        assert not torch.allclose(found, SIGReg(7)(seen[-1], 3 - step))


def test_the_loss_falls_and_embeddings_do_not_collapse(tmp_path):
    torch.manual_seed(0)
    own = task(optimizer=lambda weights: torch.optim.AdamW(weights, lr=3e-3))
    watch = Watch()
    trainer = quiet_trainer(tmp_path, max_epochs=6, callbacks=[watch])
    trainer.fit(own, batches(4, 16), batches(2, 16))
    losses = [values[0] for values in watch.validated]
    assert losses[-1] < 0.8 * losses[0]
    assert watch.validated[-1][3] < 0.3


def test_the_encoder_of_the_best_checkpoint_is_left(tmp_path):
    own = task()
    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    best = {name: value.clone() for name, value in own.state_dict().items()}
    known = {"cohorts": {"default": ["p1"]}, "unrecorded": []}
    torch.save({"state_dict": best, "patients": known}, run.best)
    with torch.no_grad():
        for weight in own.parameters():
            weight.zero_()
    own.after_fit(run)
    left = load_file(run.encoder)
    assert {f"encoder.model.{name}" for name in left} == {
        name for name in best if name.startswith("encoder.")
    }
    assert all(torch.equal(value, best[f"encoder.model.{name}"]) for name, value in left.items())
    # Who goes on from it names the file, which knows whom the encoder has seen wherever it lies.
    assert patients_of(run.encoder.rename(tmp_path / "moved.safetensors")) == known
    again = LeJEPATask(encoder(tmp_path / "moved.safetensors"))
    assert again.origins() == [tmp_path / "moved.safetensors"]
    assert task().origins() == []


def test_a_checkpoint_says_what_it_is_for():
    record = {"state_dict": {}, "encoder": task().inference_record()}
    with pytest.raises(ValueError, match=r"is a encoder's.*train heads on the .safetensors"):
        segmenter_of(record, "best.ckpt")


def test_a_warm_up_out_of_range_is_refused():
    with pytest.raises(ValueError, match="warm_up is 1; expected a share from 0 to below 1"):
        task(warm_up=1.0)
