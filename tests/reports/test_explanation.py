import numpy as np
import pytest

from lotus.reports.explanation import explanation_sheet, heat_overlay, spread
from lotus.reports.overlays import TARGET_COLOUR


def test_the_map_is_drawn_beside_the_patch_and_lacunae_are_outlined():
    image = np.full((112, 112, 3), 0.5, np.float32)
    heat = np.zeros((112, 112), np.float32)
    heat[:56] = 0.3
    mask = np.zeros((28, 28), bool)
    mask[10:20, 5:15] = True
    drawn = heat_overlay(image, heat, mask)
    assert drawn.shape == (224, 2 * 224 + 6, 3)
    assert (drawn[:, :224] == 128).all()
    under = drawn[:, -224:]
    assert under[5, 5].sum() > 128 * 3 > under[-5, -5].sum()
    outline = (under == TARGET_COLOUR).all(axis=2)
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max() + 1) == (79, 161)
    assert (columns.min(), columns.max() + 1) == (39, 121)
    assert not outline[82:158, 42:118].any()


def test_a_patch_that_nobody_annotated_and_an_empty_map_can_be_drawn():
    image = np.random.default_rng(0).random((300, 300, 1)).astype(np.float32)
    drawn = heat_overlay(image, np.zeros((300, 300), np.float32), None)
    assert drawn.shape == (300, 606, 3)
    np.testing.assert_allclose(drawn[:, :300, 0], image[..., 0] * 255, atol=0.51)
    assert not (drawn == TARGET_COLOUR).all(axis=2).any()


def test_a_sheet_shows_all_pictures_in_rows():
    pictures = [np.full((20, 40, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    sheet = explanation_sheet(pictures, ["a", "b", "c", "d"])
    assert sheet.shape == (2 * 44, 3 * 52, 3)
    assert (sheet[18:38, 52:92] == 20).all()
    assert (sheet[62:82, :40] == 40).all()
    assert (sheet[62:82, 52:92] == 255).all()
    with pytest.raises(ValueError, match="a sheet of 0 pictures"):
        explanation_sheet([], [])


def test_patients_share_the_sheet():
    patients = [*"aaaaa", *"bb"]
    assert spread(patients, 6) == [0, 2, 4, 5, 6]
    assert spread(patients, 1) == [0, 5]
