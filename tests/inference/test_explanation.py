from dataclasses import replace

import numpy as np
import pytest
import torch

from lotus.inference.classifier import TrainedClassifier
from lotus.inference.explanation import (
    ExplanationSettings,
    explain,
    faithfulness,
    plausibility,
)
from lotus.metrics.explanation import blurred
from lotus.transforms import DtypeRange
from tests.tasks.patches import GROUPS, PatchData, TinyClassifier

SETTINGS = ExplanationSettings(steps=4, percentages=(25,), batch_size=5)


def mean_of_the_corner(images):
    """A network that looks at the upper left quarter of 16 px alone: p is its mean."""
    return images[:, 0, :8, :8].mean((1, 2)).double().numpy()


@pytest.fixture
def corner():
    """An image of 0.2 with a corner of 0.8, and the map of it."""
    image = torch.full((3, 16, 16), 0.2)
    image[:, :8, :8] = 0.8
    heat = torch.zeros(1, 16, 16)
    heat[:, :8, :8] = 1.0
    return image, heat


def test_deletion_and_insertion_by_hand(corner):
    image, heat = corner
    found = faithfulness(mean_of_the_corner, 0.8, image, heat, SETTINGS, np.random.default_rng(0))
    # The corner is the first quarter of pixels; 0.35 is the mean of the image.
    assert found["deletion"] == pytest.approx(((0.8 + 0.35) / 2 + 3 * 0.35) / 4)
    start = blurred(image.numpy())[0, :8, :8].mean()
    assert 0.35 < start < 0.8
    assert found["insertion"] == pytest.approx(((start + 0.8) / 2 + 3 * 0.8) / 4)


def test_road_by_hand(corner):
    image, heat = corner
    found = faithfulness(mean_of_the_corner, 0.8, image, heat, SETTINGS, np.random.default_rng(0))
    # Around the corner everything is 0.2, and so is what is imputed; 64 noises of SD 0.01.
    assert found["road_most_25"] == pytest.approx(0.2, abs=0.005)
    assert found["road_most_25"] != pytest.approx(0.2, abs=1e-5)
    assert found["road_least_25"] == pytest.approx(0.8)
    assert found["road"] == pytest.approx(found["road_least_25"] - found["road_most_25"])


def test_a_map_of_the_wrong_place_is_told_from_that_of_the_right_one(corner):
    image, heat = corner
    generator = np.random.default_rng(0)
    wrong = faithfulness(mean_of_the_corner, 0.8, image, heat.flip(1, 2), SETTINGS, generator)
    right = faithfulness(mean_of_the_corner, 0.8, image, heat, SETTINGS, generator)
    assert wrong["deletion"] > right["deletion"] + 0.1
    assert wrong["insertion"] < right["insertion"] - 0.04
    assert wrong["road"] < 0.2 < right["road"]


def test_pixels_go_in_cells_of_the_slice_where_a_patch_is_enlarged():
    image = torch.rand(3, 112, 112)
    seen = []

    def remember(images):
        seen.append(images)
        return np.zeros(len(images))

    faithfulness(remember, 0.5, image, torch.rand(1, 7, 7), SETTINGS, np.random.default_rng(0))
    (images,) = seen
    assert images.shape == (4 + 4 + 2, 3, 112, 112)
    changed = (images[0] != image).any(0)
    assert changed.float().mean() == pytest.approx(0.25, abs=0.001)
    cells = changed.view(56, 2, 56, 2)
    assert torch.equal(cells.any(3).any(1), cells.all(3).all(1))
    assert (images[3] == image.mean((1, 2), keepdim=True)).all()
    shown = (images[5] == image).all(0)
    assert torch.equal(shown, changed)


def test_an_empty_map_is_undefined_and_costs_nothing():
    def never(images):
        raise AssertionError

    heat = torch.zeros(1, 2, 2)
    found = faithfulness(never, 0.5, torch.rand(3, 8, 8), heat, SETTINGS, np.random.default_rng(0))
    assert list(found) == ["deletion", "insertion", "road", "road_most_25", "road_least_25"]
    assert np.isnan([*found.values()]).all()
    found = plausibility(heat, np.eye(8, dtype=bool))
    assert found["lacunae"] == pytest.approx(1 / 8)
    assert np.isnan([found["pointing"], found["energy"]]).all()


def test_plausibility_is_measured_in_the_pixels_of_the_slice():
    heat = torch.zeros(1, 3, 3)
    heat[0, 1, 1] = 1.0
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    found = plausibility(heat, mask)
    assert found["pointing"] == 1.0
    assert found["lacunae"] == pytest.approx(1 / 81)
    # Bilinear: the triangle 1/3, 2/3, 1, 2/3, 1/3 in both directions, 1 in the middle.
    assert found["energy"] == pytest.approx(1 / 9)
    mask[:] = True
    assert plausibility(heat, mask)["energy"] == pytest.approx(1.0)
    assert np.isnan([*plausibility(heat, None).values()]).all()


def mask_of(name):
    """The left third of a patch; nothing in its second column, and no annotation below."""
    y, x = map(int, name.partition("@")[2].split(","))
    if y:
        return None
    mask = np.zeros((12, 16), bool)
    if x == 0:
        mask[:, :5] = True
    return mask


@pytest.fixture
def classifier():
    return TrainedClassifier(
        network=TinyClassifier().eval(),
        preprocessing=DtypeRange(),
        class_names=GROUPS,
        in_channels=3,
        resize=16,
        spacing_um=None,
        weights_source="random",
        device=torch.device("cpu"),
    )


def rows_of(classifier, settings=SETTINGS, batches=None):
    given = PatchData().test_dataloader() if batches is None else batches
    return {patch.row["name"]: patch for patch in explain(classifier, given, mask_of, settings)}


def test_every_patch_gets_a_row(classifier):
    found = rows_of(classifier)
    assert len(found) == 16
    by_name = {}
    with torch.no_grad():
        for batch in PatchData().test_dataloader():
            probabilities = classifier.network(batch["image"]).softmax(1)
            by_name |= zip(batch["name"], probabilities, strict=True)
    for name, patch in found.items():
        row = patch.row
        assert list(row)[:6] == ["name", "slice", "patient", "group", "explained", "probability"]
        index = int(by_name[name].argmax())
        assert row["explained"] == GROUPS[index]
        assert row["probability"] == pytest.approx(float(by_name[name][index]), abs=1e-6)
        annotated = name.partition("@")[2].startswith("0,")
        assert np.isnan(row["lacunae"]) != annotated
        assert (patch.mask is not None) == annotated
        if annotated:
            has_lacunae = name.endswith("@0,0")
            assert row["lacunae"] == (pytest.approx(5 / 16) if has_lacunae else 0.0)
            assert has_lacunae or np.isnan([row["pointing"], row["energy"]]).all()
        assert patch.image.shape == (16, 16, 3)
        assert patch.heat.shape == (16, 16)
        assert np.isfinite(row["deletion"]) == patch.heat.any()


def test_what_is_found_does_not_depend_on_the_batches(classifier):
    together = rows_of(classifier)
    data = PatchData()
    loader = torch.utils.data.DataLoader(data.test_dataloader().dataset, batch_size=1)
    alone = rows_of(classifier, replace(SETTINGS, batch_size=64), loader)
    for name, patch in together.items():
        texts = ("name", "slice", "patient", "group", "explained")
        assert [patch.row[key] for key in texts] == [alone[name].row[key] for key in texts]
        numbers = [key for key in patch.row if key not in texts]
        np.testing.assert_allclose(
            [patch.row[key] for key in numbers],
            [alone[name].row[key] for key in numbers],
            rtol=1e-5,
        )


def test_the_true_class_can_be_explained(classifier):
    for patch in rows_of(classifier, replace(SETTINGS, explained="true")).values():
        assert patch.row["explained"] == patch.row["group"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "0 steps of 32 images at once; at least 1"),
        ({"percentages": (10, 100)}, "percentages are 10, 100; expected some between 0 and 100"),
        ({"percentages": ()}, "percentages are none"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExplanationSettings(**options)
