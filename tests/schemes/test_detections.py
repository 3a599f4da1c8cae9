import numpy as np
import torch

from lotus.schemes.detections import detection_target, foreground_probability, label_map


def test_targets_are_boxes_classes_and_masks():
    instances = torch.zeros(10, 12, dtype=torch.int32)
    instances[2:5, 3:9] = 7
    instances[9, 11] = 2
    mask = torch.zeros(10, 12, dtype=torch.int64)
    mask[instances == 7] = 2
    mask[2, 3] = 1
    mask[9, 11] = 1
    target = detection_target(mask, instances)
    assert target["boxes"].tolist() == [[11, 9, 12, 10], [3, 2, 9, 5]]
    assert target["labels"].tolist() == [1, 2]
    assert target["masks"].dtype == torch.uint8
    assert torch.equal(target["masks"].bool(), torch.stack((instances == 2, instances == 7)))


def test_an_image_without_objects_has_an_empty_target():
    nothing = torch.zeros(6, 8, dtype=torch.int32)
    target = detection_target(nothing.long(), nothing)
    assert target["boxes"].shape == (0, 4)
    assert target["masks"].shape == (0, 6, 8)
    assert target["labels"].shape == (0,)
    assert target["labels"].dtype == torch.int64


def overlapping_masks():
    masks = torch.zeros(4, 5, 8)
    masks[0, :, :5] = 0.9
    masks[1, :, 3:] = 0.8
    masks[2, 1:3, 1:3] = 0.7
    masks[3, 4, :] = 0.49
    return masks, torch.tensor([0.6, 0.9, 0.2, 1.0])


def test_overlaps_go_to_the_higher_score_and_hidden_objects_leave_no_gap():
    masks, scores = overlapping_masks()
    expected = np.zeros((5, 8), np.int32)
    expected[:, :3] = 2
    expected[:, 3:] = 1
    labels = label_map(masks, scores)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)


def test_painting_equals_painting_one_by_one():
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(12, 9, 9, generator=generator) > 0.8).float()
    scores = torch.rand(12, generator=generator)
    expected = np.zeros((9, 9), int)
    for index in scores.argsort().tolist():
        expected[masks[index].numpy() >= 0.5] = index + 1
    labels = label_map(masks, scores)
    pairs = np.unique(np.stack((labels.ravel(), expected.ravel())), axis=1).T
    assert len(pairs) == len(np.unique(expected)) == len(np.unique(labels)) == labels.max() + 1
    np.testing.assert_array_equal(labels > 0, expected > 0)


def test_probability_is_the_best_product():
    masks, scores = overlapping_masks()
    probability = foreground_probability(masks, scores)
    np.testing.assert_allclose(
        probability[0], [0.54, 0.54, 0.54, 0.72, 0.72, 0.72, 0.72, 0.72], rtol=1e-6
    )
    np.testing.assert_allclose(probability[4, 0], 0.54, rtol=1e-6)


def test_no_detections_give_background():
    masks, scores = torch.zeros(0, 5, 8), torch.zeros(0)
    np.testing.assert_array_equal(label_map(masks, scores), np.zeros((5, 8)))
    np.testing.assert_array_equal(foreground_probability(masks, scores), np.zeros((5, 8)))
