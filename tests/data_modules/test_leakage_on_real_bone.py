"""What a split by patch pretends on real bone: groups that are drawn by lot are told apart.

Eight tiles of H&E sections stand for eight patients, whose groups mean nothing.
"""

import numpy as np
import pytest

from data_modules import PatchClassificationDataModule
from data_modules.manifest import Record, write_manifest
from data_modules.patches import choose_patches, write_patches
from lotus.imaging.raster import write_label_map
from lotus.transforms.intensity_range import DtypeRange
from tests.data_modules.test_patient_protocol import PATIENTS, SEEDS, by_patch, by_patient


@pytest.fixture(scope="module")
def study(shared_data, tmp_path_factory):
    """Function that gives the data of a split of the tiles."""
    folder = tmp_path_factory.mktemp("bone")
    tiles = sorted((shared_data / "bone_he_utsw").glob("*.jpg"))
    assert len(tiles) == PATIENTS
    tissue = folder / "tissue.png"
    write_label_map(tissue, np.full((1024, 1024), 255, np.uint8))
    records = [
        Record(tile, None, "binary", "he", tile.stem, str(number % 2), None, tissue=tissue)
        for number, tile in enumerate(tiles)
    ]
    write_manifest(folder / "manifest.csv", records)
    chosen = [(record, choose_patches(record, size=64, stride=128)) for record in records]
    write_patches(folder / "patches.csv", chosen)

    def data(**options):
        return PatchClassificationDataModule(
            folder / "manifest.csv",
            "he",
            folder / "patches.csv",
            **{"resize": 16, "preprocessing": DtypeRange(), "cache": folder / "cache"} | options,
        )

    return data


@pytest.mark.slow
def test_groups_by_lot_look_learnt_where_patches_are_divided(study, tmp_path):
    seeds = range(SEEDS)
    honest = [by_patient(study, tmp_path, shuffled_groups=seed) for seed in seeds]
    leaking = [by_patch(study, seed) for seed in seeds]
    print(f"by patient {np.mean(honest):.2f}, by patch {np.mean(leaking):.2f}")
    assert abs(np.mean(honest) - 0.5) < 0.15
    assert np.mean(leaking) > np.mean(honest) + 0.2
