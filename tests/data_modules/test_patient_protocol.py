"""What divides patients finds what groups share, and nothing where there is nothing to be found.

Each patient has a texture of their own, and patients of a true group share a grey level. The
classifier looks for the most similar patch among those that train.
"""

import numpy as np
import pytest
import torch

from data_modules import PatchClassificationDataModule
from data_modules.folds import make_folds
from data_modules.manifest import Record, write_manifest
from data_modules.patches import choose_patches, write_patches
from data_modules.splits import write_splits
from lotus.imaging.raster import write_image, write_label_map
from lotus.transforms.intensity_range import DtypeRange

PATIENTS = 8
SEEDS = 12


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Function that gives the data of a split of eight patients, with their groups or shuffled."""
    folder = tmp_path_factory.mktemp("study")
    records = []
    for number in range(PATIENTS):
        random = np.random.default_rng(number)
        noise = random.normal(0, 2 + 3 * (number // 2), (24, 16))
        pixels = np.clip(90 + 60 * (number % 2) + noise, 0, 255).astype(np.uint8)
        image, tissue = folder / f"s{number}.png", folder / f"t{number}.png"
        write_image(image, pixels)
        write_label_map(tissue, np.full((24, 16), 255, np.uint8))
        group = ("healthy", "osteoporotic")[number % 2]
        records.append(
            Record(image, None, "binary", "ct", f"p{number}", group, None, tissue=tissue)
        )
    write_manifest(folder / "manifest.csv", records)
    chosen = [(record, choose_patches(record, size=8, stride=8)) for record in records]
    write_patches(folder / "patches.csv", chosen)

    def data(**options):
        return PatchClassificationDataModule(
            folder / "manifest.csv",
            "ct",
            folder / "patches.csv",
            **{"resize": 8, "preprocessing": DtypeRange(), "cache": folder / "cache"} | options,
        )

    return data


def described(source):
    """Mean and spread of the channels of every patch (N, 6), its label and its patient."""
    samples = [source.sample(index, source.cut(index)) for index in range(len(source))]
    values = torch.stack([sample["image"].flatten(1) for sample in samples])
    labels = torch.stack([sample["label"] for sample in samples])
    patients = [sample["patient"] for sample in samples]
    return torch.cat([values.mean(2), values.std(2)], 1), labels, patients


def accuracy(train, test):
    """Of the label of the most similar training patch."""
    nearest = torch.cdist(test[0], train[0]).argmin(1)
    return float((train[1][nearest] == test[1]).float().mean())


def by_patient(study, folder, **options):
    """Accuracy over the folds that leave a pair of patients out."""
    data, found = study(**options), []
    for number, split in enumerate(
        make_folds(data.records, PATIENTS // 2, needs=data.needs).splits
    ):
        write_splits(folder / f"{number}.json", split)
        data.use_split_file(folder / f"{number}.json")
        known = [described(data.source(use)) for use in ("train", "val")]
        test = described(data.source("test"))
        assert len(set(test[2])) == 2
        assert set(test[2]).isdisjoint(patient for each in known for patient in each[2])
        train = [torch.cat([each[i] for each in known]) for i in (0, 1)]
        found.append(accuracy(train, test))
    return float(np.mean(found))


def by_patch(study, seed):
    """Accuracy where every second patch of everybody trains."""
    data = study(shuffled_groups=seed, split_fractions=(0.5, 0.25, 0.25))
    parts = [described(data.source(use)) for use in ("train", "val", "test")]
    values, labels = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    return accuracy((values[::2], labels[::2]), (values[1::2], labels[1::2]))


def test_groups_that_differ_are_told_apart_in_patients_never_seen(study, tmp_path):
    assert by_patient(study, tmp_path) == 1.0


@pytest.mark.slow
def test_shuffled_groups_are_chance_by_patient_and_look_learnt_by_patch(study, tmp_path):
    found = [by_patient(study, tmp_path, shuffled_groups=seed) for seed in range(SEEDS)]
    error = np.std(found) / np.sqrt(SEEDS)
    assert abs(np.mean(found) - 0.5) < 2.5 * error
    assert min(by_patch(study, seed) for seed in range(3)) > 0.85
