"""The enhancement on a real microCT volume, beside masks made by others (docs/results.md)."""

import numpy as np
import pytest

from lotus.imaging import open_volume
from lotus.transforms import SRMicroCTEnhancement


@pytest.mark.slow
def test_bone_of_a_trabecular_volume_lies_between_two_thresholds(shared_data):
    folder = shared_data / "bone_microct_lhdl"
    volumes = {}
    for name in ("3155_D_4_bc_200x200x200_19.5um", "g1_t63_binary", "raw_otsu84_binary"):
        with open_volume(folder / f"lhdl_{name}.tif") as volume:
            volumes[name] = np.stack(list(volume.planes))
    raw, smoothed, plain = volumes.values()
    enhancement = SRMicroCTEnhancement(opening_px=2, closing_px=1)
    bone = np.stack([enhancement.enhance(plane).bone for plane in raw])
    assert (plain > 0).mean() < bone.mean() < (smoothed > 0).mean()
    for mask in (smoothed > 0, plain > 0):
        assert 2 * (bone & mask).sum() / (bone.sum() + mask.sum()) > 0.9
