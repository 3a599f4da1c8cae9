"""Small volumes with a network of which everything is known."""

import numpy as np
import pytest

from lotus.imaging.volume_stores import write_volume
from lotus.measurement.lcn import lcn_of
from lotus.measurement.volume import open_labels

CLASSES = {"lcn": 1, "shade_off": 2, "bone": 3}
SPACING = (0.25, 0.25, 0.25)


def ball(shape, middle, radius):
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return ((places - np.array(middle)) ** 2).sum(axis=-1) <= radius**2


@pytest.fixture
def bone_with_a_lacuna():
    """A lacuna of radius 6 at (12, 12, 12), a canaliculus along x up to the edge, background."""
    labels = np.full((26, 24, 40), 3, np.uint8)
    labels[:, :2] = 0
    labels[:, 20:] = 2
    labels[12:14, 12:14, 12:] = 1
    labels[ball(labels.shape, (12, 12, 12), 6)] = 1
    return labels


@pytest.fixture
def network_of(tmp_path):
    """Writes labels to a file and measures what it is told of the network in it."""

    def measured(measure, labels, *, spacing=SPACING, classes=CLASSES, canaliculus=None, least=100):
        path = tmp_path / "labels.ome.tif"
        write_volume(path, labels, spacing or (None, None, None))
        with open_labels(path, classes=classes, foreground="lcn") as volume:
            return measure(lcn_of(volume, canaliculus, least))

    return measured
