"""Flows survive the blending of windows and the decoding of bands."""

import numpy as np
import torch
from torch import Tensor, nn

from lotus.imaging import read_label_map, write_image
from lotus.inference.options import SegmentOptions
from lotus.inference.segment import segment_image
from lotus.metrics.functional import aggregated_jaccard_index, contingency_table
from lotus.schemes import FlowField


class FlowsInColours(nn.Module):
    """Reads flows from red and green and the foreground from blue."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat((10 * image[:, :2] - 5, 20 * image[:, 2:] - 10), dim=1)


def touching_discs(shape=(150, 200), spacing=17):
    """Discs of 18 px on a grid of 17 px: each touches its neighbours, and windows cut many."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    nearest = np.stack((np.round(rows / spacing), np.round(columns / spacing))).astype(int)
    inside = np.hypot(rows - spacing * nearest[0], columns - spacing * nearest[1]) < 9
    return np.where(inside, 1 + nearest[0] * 100 + nearest[1], 0).astype(np.int32)


def test_objects_are_whole_across_windows_and_bands(tmp_path, grey_threshold):
    labels = touching_discs()
    instances = torch.from_numpy(labels)[None]
    target = FlowField().encode((instances > 0).long(), instances)[0].numpy()
    image = np.stack(((target[0] + 5) / 10, (target[1] + 5) / 10, target[2]), axis=-1)
    write_image(tmp_path / "flows.tif", np.round(255 * image).astype(np.uint8))
    segmenter = grey_threshold(networks=[FlowsInColours()], in_channels=3, instances=FlowField())
    options = SegmentOptions(window=96, progress=False)
    found = segment_image(segmenter, tmp_path / "flows.tif", tmp_path / "out", options)
    segmented = read_label_map(tmp_path / "out" / "flows_labels.tif")
    whole = [n for n in np.unique(labels[labels > 0]) if (labels == n).sum() > 20]
    assert abs(found.count - len(whole)) <= 2
    assert aggregated_jaccard_index(contingency_table(segmented, labels)) > 0.95
