"""Bodies of known shape as masks."""

import numpy as np


def ball(diameter, margin=2):
    """Voxels whose centre lies in a ball in the middle of a cube."""
    axis = np.arange(int(diameter) + 2 * margin) - (int(diameter) + 2 * margin - 1) / 2
    return axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= (diameter / 2) ** 2


def plate(thickness, size=15, margin=3):
    """A plate across the first axis."""
    mask = np.zeros((thickness + 2 * margin, size, size), bool)
    mask[margin : margin + thickness] = True
    return mask


def blobs(seed, shape=(9, 10, 11), share=0.8):
    """Random voxels."""
    return np.random.default_rng(seed).random(shape) < share
