"""A tiny data module of patches, and a classifier that a processor trains in no time."""

from collections import OrderedDict

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lotus.transforms import DtypeRange

GROUPS = ["healthy", "osteoporotic"]


class TinyClassifier(nn.Sequential):
    """A convolution and a linear layer behind global means."""

    weights_source = "random"

    def __init__(self, classes=2, width=4):
        layers = OrderedDict(
            encoder=nn.Sequential(nn.Conv2d(3, width, 4, stride=4), nn.ReLU()),
            mean=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)),
        )
        super().__init__(layers)
        self.classes, self.width = classes, width

    def features(self, image):
        return self.encoder(image)

    def head(self, features):
        return self.mean(features)


class Patches(Dataset):
    """Four patches of each of two patients per group; osteoporotic ones are brighter."""

    def __init__(self, first_patient, guide):
        self.first_patient, self.guide = first_patient, guide
        self.slices = np.random.default_rng(first_patient).random((4, 1, 24, 32), np.float32) / 2
        self.slices[1::2] += 0.4

    def __len__(self):
        return 16

    def __getitem__(self, index):
        own, place = divmod(index, 4)
        y, x = divmod(place, 2)
        rows, columns = slice(12 * y, 12 * y + 12), slice(16 * x, 16 * x + 16)
        patch = torch.from_numpy(self.slices[own][:, rows, columns])
        image = nn.functional.interpolate(patch[None], (16, 16))[0].expand(3, -1, -1).clone()
        patient = self.first_patient + own
        sample = {
            "image": image,
            "label": own % 2,
            "name": f"s{patient}@{12 * y},{16 * x}",
            "slice": f"s{patient}",
            "patient": f"{patient:03d}",
            "group": GROUPS[own % 2],
            "spacing_um": torch.tensor([0.5, 0.5], dtype=torch.float64),
        }
        if self.guide is not None:
            sample["guide"] = torch.from_numpy(self.guide(self.slices[own])[None, rows, columns])
        return sample


class PatchData(pl.LightningDataModule):
    """What tasks ask of a data module of patches, and no file."""

    def __init__(self, groups=GROUPS, spacing_um=(0.65, 0.65)):
        super().__init__()
        self.groups, self.spacing_um = groups, spacing_um
        self.preprocessing = DtypeRange()
        self.resize = 16
        self.guide = self.key = None

    def use_guide(self, key, predict):
        self.key, self.guide = key, predict

    def _loader(self, first_patient):
        return DataLoader(Patches(first_patient, self.guide), batch_size=6)

    def train_dataloader(self):
        return self._loader(0)

    def val_dataloader(self):
        return self._loader(10)

    def test_dataloader(self):
        return self._loader(20)

    def predict_dataloader(self):
        return self._loader(30)


def trainer_in(folder, **options):
    """A trainer on the processor that prints nothing."""
    settings = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "max_epochs": 1,
    }
    return pl.Trainer(default_root_dir=folder, **{**settings, **options})
