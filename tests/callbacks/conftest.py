import json

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset


class Images(Dataset):
    """Grey images whose object is brighter than the rest; the last one has no object."""

    def __init__(self, names, spacing, annotated=True):
        self.names, self.spacing, self.annotated = names, spacing, annotated

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        image = torch.full((3, 24, 32), 0.2)
        instances = torch.zeros((24, 32), dtype=torch.int32)
        if index + 1 < len(self):
            instances[4 : 10 + index, 6:14] = 7
            image[:, 4 : 10 + index, 6:14] = 0.8
        sample = {
            "image": image,
            "name": self.names[index],
            "patient": f"patient of {self.names[index]}",
            "spacing_um": torch.tensor(self.spacing, dtype=torch.float64),
        }
        return {**sample, "instances": instances} if self.annotated else sample


class Data(pl.LightningDataModule):
    def __init__(self, names=("a", "b.1", "c"), spacing=(0.5, 0.5), annotated=True):
        super().__init__()
        self.images = Images(names, spacing, annotated)
        self.version = "first"

    def train_dataloader(self):
        return DataLoader(self.images, batch_size=1)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader

    def summary(self):
        return {"modality": "sr_microct", "manifest": "data/manifest.csv"}

    def write_splits(self, path):
        path.write_text(json.dumps({"train": [self.version]}))


class Threshold(pl.LightningModule):
    """Predicts what is brighter than one half; has one weight to train with every generator."""

    def __init__(self, failure=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.failure = failure

    def training_step(self, batch, batch_idx):
        if self.failure is not None:
            raise self.failure
        noise = torch.tensor([torch.rand(()), np.random.random(), np.random.normal()])  # noqa: NPY002
        return (self.weight - noise).square().sum()

    def validation_step(self, batch, batch_idx):
        foreground = batch["image"][0, 0] > 0.5
        return {"labels": foreground.numpy().astype(np.int32), "probability": foreground.float()}

    test_step = predict_step = validation_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)


@pytest.fixture
def make_data():
    return Data


@pytest.fixture
def make_task():
    return Threshold


@pytest.fixture
def make_trainer(tmp_path):
    def make(*callbacks, **options):
        defaults = {
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "max_epochs": 1,
        }
        return pl.Trainer(
            default_root_dir=tmp_path, callbacks=list(callbacks), **{**defaults, **options}
        )

    return make
