"""DeepLIIF strips drawn for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)
FOLDERS = ("DeepLIIF_Training_Set", "DeepLIIF_Validation_Set", "DeepLIIF_Testing_Set")


def draw_strip(path: Path, seed: int = 0, side: int = 32) -> np.ndarray:
    """A strip with a positive and a negative nucleus per quarter, returned as (Y, 6 · Y, 3)."""
    rng = np.random.default_rng(seed)
    segmentation = np.zeros((side, side, 3), np.uint8)
    rows, columns = np.mgrid[:side, :side]
    quarter = side // 4
    for number, (top, left) in enumerate(((1, 1), (1, 3), (3, 1), (3, 3))):
        y, x = (np.array([top, left]) * quarter + rng.integers(-1, 2, 2)).tolist()
        distance = np.hypot(rows - y, columns - x)
        segmentation[distance < quarter - 1] = GREEN
        segmentation[distance < quarter - 2] = RED if (number + seed) % 2 else BLUE
    nucleus = segmentation.any(axis=2)
    noise = rng.integers(0, 40, (5, side, side, 3)).astype(np.uint8)
    ihc = np.where(nucleus[..., None], (90, 60, 40), (230, 225, 220)).astype(np.uint8) - noise[0]
    dapi, marker = noise[2].copy(), noise[4].copy()
    dapi[..., 2] += np.where(nucleus, 120, 0).astype(np.uint8)
    marker[..., 0] += np.where(segmentation[..., 0] > 0, 180, 0).astype(np.uint8)
    strip = np.concatenate([ihc, noise[1], dapi, noise[3], marker, segmentation], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip).save(path)
    return strip


def draw_release(root: Path, side: int = 32) -> Path:
    """The three folders, with two regions of two strips for training and one for the others."""
    regions = (("Lung_20000_10000", 0), ("Bladder_22000_40000", 0))
    regions += (("Lung_24000_8000", 1), ("Bladder_30000_2000", 2))
    for number, (region, folder) in enumerate(regions):
        for column, variant in enumerate(("", "_1.10_0.90")):
            path = root / FOLDERS[folder] / f"{region}_0_{column}{variant}.png"
            draw_strip(path, 2 * number + column, side)
    return root
