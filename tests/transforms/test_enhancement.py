import numpy as np
import pytest

from lotus.transforms import SRMicroCTEnhancement, bone_mask, enhance_slice


@pytest.fixture
def phases():
    """Air, soft tissue and a thick bone ring with small holes; grey values in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :300]
    radius = np.hypot(rows - 150, columns - 150)
    bone = radius < 110
    image = np.where(bone, 0.8, np.where(radius < 135, 0.55, 0.1))
    for y, x in rng.integers(100, 200, (30, 2)):
        image[y : y + 3, x : x + 5] = 0.3
    noisy = image + rng.normal(0, 0.02, image.shape)
    return np.clip(noisy, 0.001, 0.999).astype(np.float32), bone


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_values_inside_bone_are_stretched_and_zero_outside(phases):
    image, _ = phases
    enhanced, bone = enhance_slice(image)
    low, high = np.percentile(image, (1, 99))
    expected = np.clip((image - low) / (high - low), 0, 1)
    np.testing.assert_allclose(enhanced[bone], expected[bone], atol=1e-5)
    assert not enhanced[~bone].any()
    assert enhanced.dtype == np.float32


def test_kmeans_takes_the_brightest_of_three_phases(phases):
    image, true = phases
    assert dice(bone_mask(image - 1), true) > 0.98


def test_otsu_is_used_for_positive_slices(phases):
    image, true = phases
    # Two classes: soft tissue is nearer to bone than to air and goes with it.
    assert bone_mask(image).sum() > 1.2 * true.sum()


def test_smallest_cluster_reproduces_the_authors():
    bands = np.repeat((0.1, 0.55, 0.8), (150, 40, 110))[:, None].repeat(300, axis=1) - 1
    noisy = bands + np.random.default_rng(0).normal(0, 0.02, bands.shape)
    soft_tissue = np.isclose(bands, -0.45)
    assert dice(bone_mask(noisy, cluster="smallest"), soft_tissue) > 0.9
    assert dice(bone_mask(noisy), np.isclose(bands, -0.2)) > 0.97


@pytest.mark.parametrize("offset", [0, -1])
def test_noise_is_smoothed_away_before_the_threshold(phases, offset):
    """Otherwise a speck of noise in every 20 px square leaves nothing of the bone."""
    image, _ = phases
    noisy = image + np.random.default_rng(1).normal(0, 0.2, image.shape)
    assert dice(bone_mask(noisy - 1), bone_mask(image - 1)) > 0.98


def test_zeros_do_not_decide_the_route(phases):
    image, _ = phases
    shifted = image - 1
    shifted[:, 290:] = 0.0
    shifted[:4, :4] = 0.5
    padded = image.copy()
    padded[:, 290:] = 0.0
    padded[:4, :4] = -0.5
    assert bone_mask(shifted).sum() < bone_mask(padded).sum()


def test_missing_pixels_are_not_bone_and_change_little_else(phases):
    image, _ = phases
    missing = image - 1
    missing[:, :60] = np.nan
    missing[150, 150] = np.inf
    enhanced, bone = enhance_slice(missing)
    assert np.isfinite(enhanced).all()
    assert not bone[:, :60].any()
    assert not bone[150, 150]
    assert dice(bone[:, 60:], bone_mask(image - 1)[:, 60:]) > 0.97


def test_integers_and_offsets_give_the_same_bone(phases):
    image, _ = phases
    counts = np.round(image * 65535).astype(np.uint16)
    assert dice(bone_mask(counts), bone_mask(image)) > 0.999


def test_preprocessing_takes_one_channel(phases):
    image, _ = phases
    enhancement = SRMicroCTEnhancement()
    np.testing.assert_array_equal(enhancement(image[None])[0], enhance_slice(image)[0])
    with pytest.raises(ValueError, match="3 channels"):
        enhancement(np.stack([image] * 3))


@pytest.mark.parametrize(
    ("image", "found"),
    [(np.full((30, 30), 0.5), "constant"), (np.full((30, 30), np.nan), "no finite value")],
)
def test_unusable_slices_are_refused(image, found):
    with pytest.raises(ValueError, match=found):
        bone_mask(image)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="darkest"):
        SRMicroCTEnhancement("darkest")
    with pytest.raises(ValueError, match="opening is 0"):
        SRMicroCTEnhancement(opening_px=0)


def test_thin_bone_survives_a_smaller_square():
    image = np.full((120, 120), 0.1, np.float32)
    image[50:62] = 0.9
    assert not bone_mask(image).any()
    kept = SRMicroCTEnhancement(opening_px=4, closing_px=3).enhance(image)[1]
    assert abs(int(kept.any(axis=1).sum()) - 12) <= 2
