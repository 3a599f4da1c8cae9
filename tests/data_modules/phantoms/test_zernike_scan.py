"""A scan from end to end: units, noise, opposite radiographs, truth, and that thresholds fail."""

from dataclasses import replace

import numpy as np
import pytest

from data_modules.phantoms.beamlines import BEAMLINES
from data_modules.phantoms.drawing import draw_smooth_volume
from data_modules.phantoms.lacunae import Ellipsoids
from data_modules.phantoms.spine import Canaliculi, Outline, Spine, draw_spine
from data_modules.phantoms.spine_voxels import BACKGROUND, BONE, LCN, SHADE_OFF
from data_modules.phantoms.tomography import in_circle
from data_modules.phantoms.zernike_nanoct import ZernikeConfig, scan_specimen
from data_modules.phantoms.zernike_scan import Scan, scan, scan_bytes, scan_steps
from data_modules.phantoms.zernike_truth import (
    canalicular_length_um,
    develop,
    lacuna_rows,
    true_measures,
)
from lotus.masks import classes_in_ranges, multi_otsu_classes

ANATOMIX = BEAMLINES["anatomix"].binned(8)
NO_WAVES = np.zeros(0)


def job(beamline, depth=10, size=64, offset=(0.0, 0.0), seed=0):
    voxel, rng = beamline.pixel_size_um, np.random.default_rng(seed)
    spine = draw_spine(depth * voxel, 0.8 * size * voxel, voxel, rng)
    texture = draw_smooth_volume((depth, size, size), 2.0, rng)
    return Scan(spine, texture, size, beamline, offset, (seed,))


def scanned(what, folder, processes=1):
    files, voxels = scan(what, folder, processes, lambda: None)
    names = ("classes", "clean", "noisy", "projections")
    return {name: np.array(files.open(name)) for name in names} | {"voxels": voxels}


def sphere(radius_um=2.0, z=5.0):
    return Ellipsoids(np.array([[z, 0.0, 0.0]]), np.full((1, 3), radius_um), np.eye(3)[None])


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_without_phase_and_ring_attenuation_comes_back_per_micrometre(tmp_path):
    plain = replace(ANATOMIX, delta=0.0, ring_transmission=1.0, ring_phase=0.0)
    found = scanned(job(replace(plain, aperture_per_um=9.0)), tmp_path)
    clean, classes = found["clean"], found["classes"]
    bone, voids = np.median(clean[classes == BONE]), np.percentile(clean[classes == LCN], 10)
    assert bone == pytest.approx(0.0055, rel=0.03)
    assert abs(np.median(clean[:, in_circle(64)][classes[:, in_circle(64)] == BACKGROUND])) < 2e-4
    # The largest voids have what is left of cells in them, a third of bone.
    assert 0.0 < voids < 0.6 * bone
    assert not np.array_equal(found["noisy"], clean)


def test_ten_times_the_photons_is_a_third_of_the_noise(tmp_path):
    noise = {}
    for photons in (300.0, 3000.0):
        folder = tmp_path / f"{photons:.0f}"
        folder.mkdir()
        found = scanned(job(replace(ANATOMIX, photons=photons)), folder)
        noise[photons] = (found["noisy"] - found["clean"])[:, 28:36, 28:36].std()
    assert noise[300.0] / noise[3000.0] == pytest.approx(np.sqrt(10), rel=0.2)


def test_opposite_radiographs_are_mirror_images_unless_the_ring_is_off_centre(tmp_path):
    difference = {}
    for offset in (0.0, 0.05):
        folder = tmp_path / str(offset)
        folder.mkdir()
        radiographs = scanned(job(ANATOMIX, offset=(0.0, offset)), folder)["projections"]
        assert len(radiographs) == 102  # ceil(64 pi / 2) of the scan and the one at 180 degrees
        difference[offset] = np.abs(radiographs[0] - radiographs[-1][:, ::-1]).max()
    assert difference[0.0] < 0.02
    assert difference[0.05] > 0.5


@pytest.mark.slow
def test_processes_change_no_byte(tmp_path):
    # 70 slices are two blocks, 52 radiographs four groups.
    what = job(replace(ANATOMIX, photons=50.0), depth=70, size=32)
    steps = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        files, voxels = scan(what, folder, processes, lambda: steps.append(0))
        found = {name: np.array(files.open(name)) for name in ("classes", "clean", "noisy")}
        if processes == 1:
            alone, alone_voxels = found, voxels
    for name, array in found.items():
        np.testing.assert_array_equal(array, alone[name])
    np.testing.assert_array_equal(voxels, alone_voxels)
    assert len(steps) == 2 * scan_steps(70, 32) == 2 * (2 + 4 + 2)
    # Blocks have noise of their own.
    noise = found["noisy"] - found["clean"]
    assert not np.array_equal(noise[:6], noise[64:])
    used = sum(file.stat().st_size for file in (tmp_path / "1").iterdir())
    assert scan_bytes(70, 32) == pytest.approx(used, rel=0.01)


@pytest.mark.parametrize("beamline", ["anatomix", "p05"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_threshold_finds_the_network(tmp_path, beamline, seed):
    config = ZernikeConfig(beamline, (24, 64, 64))
    what, files, _ = scan_specimen(config, (seed,), tmp_path, 1, lambda: None)
    developed = develop(what, files)
    grey = np.stack([developed.grey(number) for number in range(24)]) / 65535
    classes = np.stack([developed.classes(number) for number in range(24)])
    lcn, darkest = classes == LCN, multi_otsu_classes(grey, 4) == 0
    assert 0.005 < lcn.sum() / (classes > LCN).sum() < 0.12
    assert dice(darkest, lcn) <= 0.75
    # Not for the background's sake alone: nor where it is known what is within the specimen.
    assert dice(darkest & (classes > 0), lcn) <= 0.75
    assert dice(classes_in_ranges(grey) == 1, lcn) <= 0.5
    # And yet it is there: the network is darker than the bone around it.
    assert np.median(grey[lcn]) < np.percentile(grey[classes == BONE], 10)


def test_shade_off_is_dark_bone_near_the_surface(tmp_path):
    config = ZernikeConfig("anatomix", (12, 96, 96))
    what, files, _ = scan_specimen(config, (4,), tmp_path, 1, lambda: None)
    developed = develop(what, files)
    before, clean = np.array(files.open("classes")), np.array(files.open("clean"))
    after = np.stack([developed.classes(number) for number in range(12)])
    shade = after == SHADE_OFF
    np.testing.assert_array_equal(after[~shade], before[~shade])
    assert (before[shade] == BONE).all()
    assert 0.01 < shade.sum() / (before == BONE).sum() < 0.3
    assert np.median(clean[shade]) < developed.shade_limit < np.median(clean[before == BONE])
    voxel = config.voxel_um
    z, y, x = (np.argwhere(shade) + 0.5).T * voxel
    half = 48 * voxel
    # Half a period of 0.133 per µm.
    assert what.spine.outline.depth_um(z, y - half, x - half).max() <= 3.76


def test_grey_values_fill_their_range_but_for_a_few(tmp_path):
    what, files, _ = scan_specimen(
        ZernikeConfig(shape=(8, 64, 64)), (0,), tmp_path, 1, lambda: None
    )
    developed = develop(what, files)
    grey = np.stack([developed.grey(number) for number in range(8)])[:, in_circle(64)]
    noisy = np.array(files.open("noisy"))[:, in_circle(64)]
    for end, percentile in ((0, 0.02), (65535, 99.98)):
        assert 1e-5 < (grey == end).mean() < 1e-3
        assert developed.window[end > 0] == pytest.approx(np.percentile(noisy, percentile))
    inside = (grey > 0) & (grey < 65535)
    low, high = developed.window
    back = grey[inside] / 65535 * (high - low) + low
    np.testing.assert_allclose(back, noisy[inside], atol=(high - low) / 65535)


def test_length_counts_bone_alone():
    outline = Outline(20.0, NO_WAVES, NO_WAVES, NO_WAVES, NO_WAVES)
    # From the middle of a lacuna of radius 2 to beyond the surface at 10; another that leaves the
    # volume after 5 of its 9 µm.
    controls = np.array(
        [[[5.0, 0, 0], [5.0, 0, 7.0], [5.0, 0, 14.0]], [[5.0, 4, 0], [9.5, 4, 0], [14.0, 4, 0]]]
    )
    spine = Spine(outline, sphere(), Canaliculi(controls, np.array([0.1, 0.1])))
    assert canalicular_length_um(spine, 10.0, 0.01) == pytest.approx(8.0 + 5.0, abs=0.05)


def test_lacunae_that_count_and_those_that_are_whole():
    spheres = [sphere(2.0, z) for z in (1.0, 5.0, 9.0, 30.0)]
    lacunae = Ellipsoids(
        *(
            np.concatenate([getattr(s, name) for s in spheres])
            for name in ("centre_um", "semi_axes_um", "axes")
        )
    )
    outline = Outline(20.0, NO_WAVES, NO_WAVES, NO_WAVES, NO_WAVES)
    none = Canaliculi(np.zeros((0, 3, 3)), np.zeros(0))
    beamline = replace(ANATOMIX, pixel_size_um=0.5)
    texture = draw_smooth_volume((20, 64, 64), 2.0, np.random.default_rng(0))
    what = Scan(Spine(outline, lacunae, none), texture, 64, beamline, (0.0, 0.0), (0,))
    rows = lacuna_rows(what, [150, 268, 10, 0])
    volume = 4 / 3 * np.pi * 8
    assert [row["is_whole"] for row in rows] == [0, 1, 0]
    np.testing.assert_allclose([row["seen_share"] * volume * 8 for row in rows], [150, 268, 10])
    assert (rows[1]["z_um"], rows[1]["y_um"], rows[1]["x_um"]) == (5.0, 16.0, 16.0)
    assert rows[1]["volume_um3"] == pytest.approx(volume)
    assert rows[1]["length_um"] == rows[1]["depth_um"] == 4.0
    truth = true_measures(what, np.array([1000, 30, 100, 900]), rows)
    assert truth["lcn_per_bone"] == 0.03
    assert truth["lcn_per_bone_and_lcn"] == pytest.approx(30 / 1030)
    assert truth["shade_off_per_bone"] == 0.1
    assert truth["bone_volume_um3"] == 125.0
    assert (truth["n_lacunae"], truth["n_whole_lacunae"]) == (2, 1)
    assert truth["mean_lacunar_volume_um3"] == rows[1]["volume_um3"]
    assert truth["largest_thickness_um"] == 4.0
    assert truth["canalicular_length_um"] == 0.0
    straight = Canaliculi(np.array([[[5.0, 3, 0], [5.0, 3, 2], [5.0, 3, 4]]]), np.array([0.2]))
    joined = replace(what, spine=replace(what.spine, canaliculi=straight))
    truth = true_measures(joined, np.array([1000, 30, 100, 900]), rows)
    assert truth["canalicular_length_um"] == pytest.approx(4.0)
    assert truth["canalicular_length_per_um2"] == pytest.approx(4.0 / (1030 / 8))
    assert np.isnan(true_measures(what, np.array([9, 0, 1, 9]), [])["mean_lacunar_volume_um3"])


def test_a_wide_field_shows_the_whole_spine_and_a_narrow_one_a_thin_spine():
    assert ZernikeConfig().voxel_um == 0.094
    assert ZernikeConfig(shape=(9, 128, 128)).voxel_um == pytest.approx(4 * 0.094)
    assert ZernikeConfig("p05", (9, 512, 512)).voxel_um == 0.088
    assert ZernikeConfig().diameter_um == 38.0
    assert ZernikeConfig(shape=(9, 128, 128), binning=1).diameter_um == pytest.approx(0.8 * 12.032)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beamline": "id16"}, "beamline id16: take one of anatomix, p05"),
        ({"shape": (9, 64, 60)}, "shape 9 64 60: take Z of at least 1, and Y = X of at least 32"),
        ({"shape": (0, 64, 64)}, "shape 0 64 64: "),
        ({"shape": (9, 16, 16)}, "shape 9 16 16: "),
        ({"binning": 0}, "binning 0: take a whole number of at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ZernikeConfig(**arguments)
