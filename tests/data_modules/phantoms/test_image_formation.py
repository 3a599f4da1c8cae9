"""What the two modalities make of a section."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from data_modules.phantoms.anatomy import SectionConfig, cut_section, draw_patient
from data_modules.phantoms.histology import HistologyConfig, simulate_histology
from data_modules.phantoms.sr_microct import SRMicroCTConfig, simulate_sr_microct

pytestmark = pytest.mark.slow

CT = SRMicroCTConfig(
    section=SectionConfig(256, 1.6, 1.6, cortical_share=1.0), negative_share=0.0, air_share=0.0
)
SLIDE = HistologyConfig(section=SectionConfig(256, 1.0, 5.0, cortical_share=1.0))
PATIENT = draw_patient(0, seed=0)


def scan(seed=0, **values):
    return simulate_sr_microct(PATIENT, replace(CT, **values), np.random.default_rng(seed))


def slide(seed=0, **values):
    return simulate_histology(PATIENT, replace(SLIDE, **values), np.random.default_rng(seed))


def matrix_around(labels):
    """Bone 3 to 6 px away from lacunae."""
    lacunae = labels > 0
    return ndimage.binary_dilation(lacunae, iterations=6) & ~ndimage.binary_dilation(
        lacunae, iterations=3
    )


def contrast(phantom):
    grey = phantom.image
    return np.median(grey[matrix_around(phantom.labels)]) - grey[phantom.labels > 0].mean()


@pytest.mark.parametrize("simulate", [scan, slide])
def test_same_seed_same_image_other_seed_other_image(simulate):
    first, again, other = simulate(1), simulate(1), simulate(2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.truth == again.truth
    assert (first.image != other.image).any()
    assert (first.labels != other.labels).any()


def test_scan_is_float32_between_zero_and_one():
    phantom = scan()
    assert phantom.image.dtype == np.float32
    assert phantom.image.min() >= 0
    assert phantom.image.max() <= 1
    assert phantom.labels.dtype == np.uint16
    wrong = scan(negative_share=1.0)
    np.testing.assert_allclose(wrong.image, phantom.image - 1, atol=1e-6)


def test_lacunae_are_darker_than_bone_and_can_be_made_faint():
    clear, faint = scan(lacuna_contrast=1.0), scan(lacuna_contrast=0.3)
    np.testing.assert_array_equal(clear.labels, faint.labels)
    assert contrast(clear) > 0.1
    assert contrast(faint) == pytest.approx(0.3 * contrast(clear), rel=0.25)
    # Shifted by two lacunar lengths the label map no longer matches the image.
    moved = replace(clear, labels=np.roll(clear.labels, 20, axis=1))
    assert abs(contrast(moved)) < 0.2 * contrast(clear)


def test_fewer_photons_make_more_noise():
    quiet, noisy = scan(photons=1e5), scan(photons=100.0)
    spread = [
        np.std(np.diff(phantom.image[matrix_around(phantom.labels)])) for phantom in (quiet, noisy)
    ]
    assert spread[1] > 4 * spread[0]


def test_phase_contrast_brightens_the_edge_of_bone():
    flat, fringed = scan(edge_strength=0.0, photons=1e6), scan(edge_strength=2.0, photons=1e6)
    bone = cut_section(PATIENT, CT.section, np.random.default_rng(0)).architecture.bone
    edge = bone & ~ndimage.binary_erosion(bone, border_value=1)
    assert (fringed.image - flat.image)[edge].mean() > 0.02


def test_slide_is_rgb_pink_bone_with_pale_lacunae_and_dark_nuclei():
    phantom = slide(noise=0.0)
    assert phantom.image.dtype == np.uint8
    assert phantom.image.shape == (256, 256, 3)
    matrix = phantom.image[matrix_around(phantom.labels)].mean(axis=0)
    assert matrix[0] > matrix[2] > matrix[1]  # pink: red, then blue, then green
    inside = phantom.image[phantom.labels > 0].astype(float)
    assert np.percentile(inside[:, 1], 90) > matrix[1] + 20  # the empty rim
    assert np.percentile(inside[:, 0], 10) < matrix[0] - 40  # nuclei take the red light


def test_slides_vary_in_stain():
    pink = np.array([slide(seed).image.mean(axis=(0, 1)) for seed in range(6)])
    assert pink.std(axis=0).max() > 3
    constant = {"stain_variation": 0.0, "hue_variation": 0.0}
    same = np.array([slide(seed, **constant).image.mean(axis=(0, 1)) for seed in range(6)])
    assert same.std(axis=0).max() < pink.std(axis=0).max()


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("cortical_share", [0.0, 1.0])
def test_small_images(size, cortical_share):
    section = {"size": size, "cortical_share": cortical_share}
    ct = scan(section=replace(CT.section, **section))
    he = slide(section=replace(SLIDE.section, **section))
    assert ct.image.shape == he.image.shape[:2] == (size, size)


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (CT, {"lacuna_contrast": 1.4}, "lacuna_contrast 1.4: take a value above 0 and up to 1"),
        (CT, {"lacuna_contrast": 0.0}, "lacuna_contrast 0: "),
        (CT, {"photons": 0.0}, "photons 0: at least 10"),
        (SLIDE, {"halo": 2.0}, "halo 2: take a value from 0 to 1"),
        (SLIDE, {"noise": -1.0}, "must not be < 0"),
    ],
)
def test_bad_settings_are_refused(config, values, message):
    with pytest.raises(ValueError, match=message):
        replace(config, **values)
