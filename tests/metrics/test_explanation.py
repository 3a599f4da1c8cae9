import numpy as np
import pytest

from lotus.metrics.explanation import (
    area_under,
    blurred,
    energy_inside,
    first_pixels,
    linear_imputation,
    peak_hits,
    removal_order,
)


def test_energy_and_peak_by_hand():
    heat = np.array([[0.0, 1.0, 2.0], [0.0, 4.0, 1.0]])
    left = np.array([[1, 1, 0], [1, 1, 0]], bool)
    assert energy_inside(heat, left) == pytest.approx(5 / 8)
    assert energy_inside(heat, ~left) == pytest.approx(3 / 8)
    assert (peak_hits(heat, left), peak_hits(heat, ~left)) == (1.0, 0.0)


def test_several_peaks_count_by_their_share():
    heat = np.array([[3.0, 3.0, 0.0, 3.0]])
    assert peak_hits(heat, np.array([[True, False, True, False]])) == pytest.approx(1 / 3)


def test_nothing_to_look_at_and_nothing_seen_are_undefined():
    heat, mask = np.ones((2, 2)), np.ones((2, 2), bool)
    for score in (peak_hits, energy_inside):
        assert score(heat, mask) == 1.0
        assert np.isnan(score(heat, ~mask))
        assert np.isnan(score(0 * heat, mask))


def test_a_map_without_contrast_has_the_energy_of_chance():
    mask = np.random.default_rng(0).random((20, 30)) < 0.3
    assert energy_inside(np.full(mask.shape, 0.2), mask) == pytest.approx(mask.mean())


def test_pixels_go_from_the_highest_value_to_the_lowest():
    heat = np.array([[0.1, 0.9], [0.5, 0.3]])
    order = removal_order(heat, np.random.default_rng(0))
    assert order.tolist() == [[3, 0], [1, 2]]
    assert first_pixels(order, 0.5).tolist() == [[False, True], [True, False]]
    assert not first_pixels(order, 0.0).any()
    assert first_pixels(order, 1.0).all()


def test_equal_values_go_in_random_order_but_after_higher_ones():
    heat = np.zeros((20, 20))
    heat[19, 19] = 1.0
    order = removal_order(heat, np.random.default_rng(0))
    assert order[19, 19] == 0
    assert sorted(order.ravel()) == list(range(400))
    half = first_pixels(order, 0.5)
    assert 70 < half[:10].sum() < 130  # all 200 of them, if rows were taken in turn
    assert np.array_equal(order, removal_order(heat, np.random.default_rng(0)))


def test_area_by_hand():
    assert area_under([1.0, 0.0]) == pytest.approx(0.5)
    assert area_under([0.8, 0.8, 0.8, 0.8]) == pytest.approx(0.8)
    assert area_under([1.0, 0.5, 0.1]) == pytest.approx((0.75 + 0.3) / 2)
    with pytest.raises(ValueError, match="at least two"):
        area_under([1.0])


def test_one_removed_pixel_is_the_weighted_mean_of_its_neighbours():
    image = np.arange(9.0).reshape(1, 3, 3) ** 2
    removed = np.zeros((3, 3), bool)
    removed[1, 1] = True
    filled = linear_imputation(image, removed)
    assert filled[0, 1, 1] == pytest.approx((1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12)
    assert np.array_equal(filled[0][~removed], image[0][~removed])


def test_two_removed_pixels_are_solved_together_by_hand():
    """The centre c and the upper left corner a, whose weights add up to 1/6 + 1/6 + 1/12 = 5/12.

    12 c = 2 (1 + 3 + 5 + 7) + (a + 2 + 6 + 8) and 5 a = 2 (1 + 3) + c.
    """
    image = np.arange(9.0).reshape(1, 3, 3)
    removed = np.zeros((3, 3), bool)
    removed[0, 0] = removed[1, 1] = True
    filled = linear_imputation(np.concatenate([image, 10 * image]), removed)
    centre = (48 + 8 / 5) / (12 - 1 / 5)
    corner = (8 + centre) / 5
    np.testing.assert_allclose(filled[0, [0, 1], [0, 1]], [corner, centre])
    np.testing.assert_allclose(filled[1], 10 * filled[0])


def test_the_imputation_satisfies_its_equations_in_any_shape_of_hole():
    random = np.random.default_rng(1)
    image, removed = random.random((2, 9, 14)), random.random((9, 14)) < 0.8
    filled = linear_imputation(image, removed)
    for y, x in np.argwhere(removed):
        total = weights = 0.0
        for v in range(max(y - 1, 0), min(y + 2, 9)):
            for u in range(max(x - 1, 0), min(x + 2, 14)):
                weight = {0: 0, 1: 2, 2: 1}[abs(v - y) + abs(u - x)]
                total, weights = total + weight * filled[:, v, u], weights + weight
        np.testing.assert_allclose(filled[:, y, x], total / weights)


def test_noise_is_added_to_removed_pixels_alone():
    image, removed = np.ones((3, 4, 4)), np.eye(4, dtype=bool)
    noise = np.random.default_rng(0).normal(size=(4, 4))
    filled = linear_imputation(image, removed, noise)
    np.testing.assert_allclose(filled, 1 + np.where(removed, noise, 0.0)[None].repeat(3, axis=0))


def test_what_cannot_be_imputed_is_said():
    image = np.ones((1, 2, 2))
    with pytest.raises(ValueError, match="at least one is needed"):
        linear_imputation(image, np.ones((2, 2), bool))
    with pytest.raises(ValueError, match=r"mask of \(3, 2\) pixels on an image of \(2, 2\)"):
        linear_imputation(image, np.ones((3, 2), bool))
    assert np.array_equal(linear_imputation(image, np.zeros((2, 2), bool)), image)


def test_the_blur_takes_an_object_away_and_keeps_channels_apart():
    image = np.zeros((2, 40, 40))
    image[0, 18:22, 18:22] = 1.0
    found = blurred(image)
    assert found.dtype == np.float32
    assert found[0].max() < 0.2
    assert found[0].sum() == pytest.approx(16.0, rel=1e-3)
    assert not found[1].any()
