"""Probes around a training: what is fitted to whom, scored on whom, and logged."""

import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lotus.callbacks import FrozenProbes
from lotus.callbacks.frozen_probes import see_tiles
from lotus.metrics.frozen_tiles import domain_scores, patch_scores
from lotus.metrics.rank_me import rank_me

PATCH = 4


class Task(pl.LightningModule):
    """Tokens are the mean colours of patches, embeddings those of tiles."""

    def __init__(self):
        super().__init__()
        self.encoder = SimpleNamespace(patch=PATCH)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.modes = []

    def tokens(self, image):
        self.modes.append((self.training, torch.is_grad_enabled(), tuple(image.shape[2:])))
        maps = F.avg_pool2d(image, PATCH) * self.scale
        return SimpleNamespace(maps=[0 * maps, maps], feature=maps.mean(dim=(2, 3)))

    def training_step(self, batch, batch_idx):
        return self.scale.square()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.scale.detach())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Data(pl.LightningDataModule):
    """Two modalities, of which the first is annotated; all tiles have a margin of two pixels."""

    def __init__(self, *, masks=("train", "val"), modalities=("grey", "red")):
        super().__init__()
        self.masks = masks
        self.modalities = modalities
        self.asked = []

    def probe_tiles(self, use, most):
        self.asked.append((use, most))
        random = torch.Generator().manual_seed(len(use))
        loaders = []
        for name in self.modalities:
            tiles = []
            for _ in range(3):
                mask = torch.zeros(10, 14, dtype=torch.int64)
                mask[:, 4 * int(torch.randint(2, (), generator=random)) :] = 1
                image = 0.1 * torch.rand(3, 10, 14, generator=random) + 0.5 * mask
                tile = {"image": image, "modality": name}
                if name == "red":
                    tile["image"] = image * torch.tensor([1.0, 0.1, 0.1])[:, None, None]
                elif use in self.masks:
                    tile |= {"mask": mask, "ignored": torch.zeros(10, 14, dtype=torch.bool)}
                tiles.append(tile)
            loaders.append(DataLoader(tiles, batch_size=2))
        return loaders

    def train_dataloader(self):
        return DataLoader(range(2))

    def val_dataloader(self):
        return DataLoader(range(1))


def fit(task, data, *callbacks, **options):
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        callbacks=[FrozenProbes(tiles=5, neighbours=2), *callbacks],
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"enable_checkpointing": False} | options,
    )
    trainer.fit(task, datamodule=data)
    return {name: float(value) for name, value in trainer.logged_metrics.items()}


def test_probes_are_fitted_to_training_tiles_and_scored_on_validation_tiles():
    task, data = Task(), Data()
    found = fit(task, data)
    # The sanity check asks nothing.
    assert data.asked == [("train", 5), ("val", 5)]
    assert set(task.modes) == {(False, False, (8, 12))}
    known, asked = (see_tiles(task, data.probe_tiles(use, 5)) for use in ("train", "val"))
    assert known[0].features.mean() != asked[0].features.mean()
    wanted = {**domain_scores(known, asked, neighbours=2), **patch_scores(known, asked)}
    assert found["val_domain_knn"] == wanted["domain_knn"] == 1.0
    assert found["val_domain_linear"] == wanted["domain_linear"]
    assert found["val_grey_patch_dice"] == pytest.approx(wanted["grey_patch_dice"])
    assert found["val_patch_dice"] == found["val_grey_patch_dice"] > 0.9
    assert math.isnan(found["val_red_patch_dice"])
    embeddings = torch.cat([tiles.features for tiles in asked])
    assert found["val_rank_me"] == pytest.approx(float(rank_me(embeddings)), rel=1e-5)


def test_without_masks_or_a_second_modality_the_scores_are_undefined():
    found = fit(Task(), Data(masks=(), modalities=("grey",)))
    undefined = ("domain_knn", "domain_linear", "grey_patch_dice", "patch_dice")
    assert all(math.isnan(found[f"val_{name}"]) for name in undefined)
    assert found["val_rank_me"] >= 1


def test_masks_of_both_sets_may_pick_the_checkpoint(tmp_path):
    best = ModelCheckpoint(tmp_path, monitor="val_patch_dice", mode="max")
    fit(Task(), Data(), best, enable_checkpointing=True)
    assert best.best_model_score > 0.9


@pytest.mark.parametrize("masks", [(), ("train",), ("val",)])
def test_masks_that_are_not_there_cannot_pick_the_checkpoint(masks, tmp_path):
    task, data = Task(), Data(masks=masks)
    best = ModelCheckpoint(tmp_path, monitor="val_patch_dice", mode="max")
    with pytest.raises(ValueError, match="give --monitor val_loss"):
        fit(task, data, best, enable_checkpointing=True)
    by_loss = ModelCheckpoint(tmp_path, monitor="val_loss")
    fit(task, data, by_loss, enable_checkpointing=True)
    assert by_loss.best_model_score is not None


@pytest.mark.parametrize("options", [{"tiles": 0}, {"neighbours": 0}, {"penalty": 0.0}])
def test_numbers_that_are_not_positive_are_refused(options):
    with pytest.raises(ValueError, match="expected numbers above 0"):
        FrozenProbes(**options)
