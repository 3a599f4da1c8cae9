import sys

import numpy as np
import pytest
import torch

from lotus.losses import FlowLoss
from lotus.metrics.functional import aggregated_jaccard_index, contingency_table
from lotus.schemes import FlowField


def encode(labels):
    instances = torch.from_numpy(labels.astype(np.int32))[None]
    return FlowField().encode((instances > 0).long(), instances)[0].numpy()


def touching_objects():
    """Two discs cut where they meet, and an ellipse; their numbers have gaps."""
    rows, columns = np.mgrid[:72, :80]
    labels = np.zeros((72, 80), int)
    labels[(rows - 22) ** 2 + (columns - 24) ** 2 < 14**2] = 7
    labels[((rows - 22) ** 2 + (columns - 50) ** 2 < 15**2) & (labels == 0)] = 3
    labels[((rows - 54) / 9) ** 2 + ((columns - 40) / 26) ** 2 < 1] = 12
    return labels


def test_touching_objects_come_back():
    labels = touching_objects()
    decoded = FlowField().decode(encode(labels))
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(np.unique(decoded), np.arange(4))
    assert aggregated_jaccard_index(contingency_table(decoded, labels)) > 0.95


def test_noisy_flows_still_give_the_objects():
    labels = touching_objects()
    target = encode(labels)
    noise = np.random.default_rng(0).normal(0, 1, target.shape)
    target[:2] += noise[:2]
    decoded = FlowField().decode(target)
    assert aggregated_jaccard_index(contingency_table(decoded, labels)) > 0.9


def test_flow_of_a_disc_points_to_its_centre():
    rows, columns = np.mgrid[:41, :41] - 20.0
    distance = np.hypot(rows, columns)
    target = encode(distance < 15)
    ring = (distance > 3) & (distance < 13)
    towards = np.stack((-rows, -columns)) / np.maximum(distance, 1)
    cosine = (target[:2] / 5 * towards).sum(0)
    assert cosine[ring].min() > 0.98
    np.testing.assert_allclose(np.hypot(*target[:2])[ring], 5.0, rtol=1e-5)
    np.testing.assert_array_equal(target[2], distance < 15)
    assert not target[:2, distance >= 15].any()


def test_flow_of_a_bar_runs_along_it():
    # Three pixels in a row: heat flows from both ends straight to the middle, which is the source.
    labels = np.zeros((5, 7), int)
    labels[2, 2:5] = 1
    target = encode(labels)
    np.testing.assert_allclose(target[1, 2], [0, 0, 5, 0, -5, 0, 0])
    assert not target[0].any()


def test_targets_are_two_flows_and_the_foreground():
    nothing = torch.zeros(2, 24, 32, dtype=torch.int32)
    target = FlowField().encode(nothing.long(), nothing)
    assert target.shape == (2, 3, 24, 32)
    assert target.dtype == torch.float32


def test_one_object_may_fill_most_of_a_crop():
    labels = np.zeros((32, 32), int)
    labels[2:30, 2:30] = 1
    decoded = FlowField().decode(encode(labels))
    assert aggregated_jaccard_index(contingency_table(decoded, labels)) > 0.95


def test_objects_whose_flow_is_not_that_of_their_shape_are_dropped():
    target = encode(touching_objects())
    target[0] *= -1
    target[:2, 36:] = encode(touching_objects())[:2, 36:]
    assert FlowField().decode(target).max() == 1
    assert FlowField(flow_error=0).decode(target).max() > 1


def test_only_the_foreground_is_activated():
    logits = torch.tensor([[[[-7.0]], [[6.0]], [[0.0]]]])
    activated = FlowField().activate(logits)
    torch.testing.assert_close(activated.flatten(), torch.tensor([-7.0, 6.0, 0.5]))
    assert FlowField().foreground(activated[0].numpy()) == 0.5


def test_loss_is_that_of_flows():
    assert isinstance(FlowField().default_loss(1), FlowLoss)


def test_bad_settings_are_refused():
    assert FlowField().channels(1) == 3
    with pytest.raises(ValueError, match="2 foreground classes"):
        FlowField().channels(2)
    with pytest.raises(ValueError, match=r"threshold is 1; expected a probability in \(0, 1\)"):
        FlowField(threshold=1)
    with pytest.raises(ValueError, match="steps 0"):
        FlowField(steps=0)


def test_without_cellpose_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cellpose", None)
    with pytest.raises(ValueError, match=r"pip install 'lotus-bone\[cellpose\]'"):
        encode(touching_objects())
