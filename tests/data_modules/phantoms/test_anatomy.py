"""Groups, patients and sections."""

import numpy as np
import pytest

from data_modules.phantoms.anatomy import (
    GROUPS,
    SLICE_SPREAD,
    SectionConfig,
    cut_section,
    draw_patient,
    fill_with_lacunae,
    measure_truth,
    vary,
)
from data_modules.phantoms.architecture import cortical_architecture, trabecular_architecture

pytestmark = pytest.mark.slow

CORTICAL = SectionConfig(size=384, pixel_size_um=1.6, thickness_um=1.6, cortical_share=1.0)
TRABECULAR = SectionConfig(size=384, pixel_size_um=1.6, thickness_um=1.6, cortical_share=0.0)


def truths(config, group, count):
    numbers = [n for n in range(3 * count) if draw_patient(n, seed=5).group == group]
    return [
        measure_truth(cut_section(draw_patient(n, seed=5), config, np.random.default_rng([9, n])))
        for n in numbers
    ]


def mean_of(rows, name):
    return np.mean([row[name] for row in rows])


def test_patients_take_turns_in_groups_and_do_not_depend_on_their_number():
    patients = [draw_patient(number, seed=0) for number in range(4)]
    assert [p.name for p in patients] == ["P01", "P02", "P03", "P04"]
    assert [p.group for p in patients] == ["healthy", "osteoporotic", "covid19", "healthy"]
    assert patients[0].bone != patients[3].bone
    assert draw_patient(3, seed=0) == patients[3]
    assert draw_patient(3, seed=1).bone != patients[3].bone


def test_patients_differ_more_than_their_slices():
    def properties(bone):
        return np.log([bone.lacunae.density_per_mm3, bone.lacunae.volume_um3, bone.bone_fraction])

    rng = np.random.default_rng(0)
    slices = np.array(
        [
            [
                properties(vary(draw_patient(3 * n, seed=0).bone, SLICE_SPREAD, rng))
                for _ in range(6)
            ]
            for n in range(40)
        ]
    )
    between = slices.mean(axis=1).var(axis=0, ddof=1)
    within = slices.var(axis=1, ddof=1).mean(axis=0)
    assert (between > 3 * within).all()


@pytest.mark.parametrize("build", [trabecular_architecture, cortical_architecture])
def test_lacunae_fill_bone_at_the_wanted_density_and_follow_the_lamellae(build):
    bone = GROUPS["healthy"]
    parameter = bone.bone_fraction if build is trabecular_architecture else bone.canal_radius_um
    config = SectionConfig(size=400, pixel_size_um=2.0, thickness_um=2.0)
    count, deep_mm3, volumes, along = 0, 0.0, [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        architecture = build((400, 400), 2.0, parameter, rng)
        lacunae = fill_with_lacunae(architecture, bone.lacunae, config, rng)
        count += len(lacunae)
        deep_mm3 += (architecture.surface_um > 6.0).sum() * 4e-6 * (2.0 + 48.0) * 1e-3
        row, column = (lacunae.centre_um[:, 1:] / 2.0).astype(int).T
        angle = architecture.normal_angle()[row, column]
        normal = np.stack([np.zeros(len(angle)), np.sin(angle), np.cos(angle)], 1)
        along.append(np.abs((lacunae.axes[:, 0] * normal).sum(1)))
        volumes.append(lacunae.volume_um3)
    assert count / deep_mm3 == pytest.approx(20_600, rel=0.08)
    assert np.concatenate(volumes).mean() == pytest.approx(410, rel=0.05)
    assert np.median(np.concatenate(along)) < np.sin(np.deg2rad(15))


@pytest.mark.slow
def test_bone_area_and_lacunae_of_the_groups():
    healthy, osteoporotic = (truths(CORTICAL, group, 5) for group in ("healthy", "osteoporotic"))
    # Two-dimensional counts of human bone are of the order of 200 per mm².
    assert 180 < mean_of(healthy, "lacunae_per_mm2") < 320
    assert mean_of(osteoporotic, "lacunae_per_mm2") < 0.9 * mean_of(healthy, "lacunae_per_mm2")
    assert mean_of(osteoporotic, "mean_lacunar_area_um2") > mean_of(
        healthy, "mean_lacunar_area_um2"
    )
    assert mean_of(osteoporotic, "bone_area_fraction") < mean_of(healthy, "bone_area_fraction")
    assert 0.85 < mean_of(healthy, "bone_area_fraction") < 1.0
    healthy, osteoporotic = (truths(TRABECULAR, group, 5) for group in ("healthy", "osteoporotic"))
    assert mean_of(osteoporotic, "bone_area_fraction") < mean_of(healthy, "bone_area_fraction")
    assert 0.3 < mean_of(healthy, "bone_area_fraction") < 0.75


def test_covid19_lies_on_the_side_of_osteoporosis():
    healthy, covid19 = GROUPS["healthy"], GROUPS["covid19"]
    assert covid19.lacunae.density_per_mm3 < healthy.lacunae.density_per_mm3
    assert covid19.lacunae.volume_um3 > healthy.lacunae.volume_um3
    assert covid19.lacunae.length_to_depth < healthy.lacunae.length_to_depth
    assert covid19.bone_fraction < healthy.bone_fraction


@pytest.mark.parametrize("config", [CORTICAL, TRABECULAR])
def test_labels_lie_in_bone_and_truth_counts_them(config):
    section = cut_section(draw_patient(0, seed=0), config, np.random.default_rng(3))
    truth = measure_truth(section)
    present = np.unique(section.labels[section.labels > 0])
    assert truth["n_lacunae"] == len(present) > 10
    assert section.architecture.bone[section.labels > 0].all()
    area = (section.labels > 0).sum()
    assert truth["mean_lacunar_area_um2"] == pytest.approx(area * 1.6**2 / len(present))
    assert truth["lacunar_area_fraction"] == pytest.approx(area / section.architecture.bone.sum())
    assert not (section.architecture.canal & section.architecture.bone).any()


@pytest.mark.parametrize("size", [32, 64, 129])
def test_small_and_odd_sizes(size):
    for cortical_share in (0.0, 1.0):
        config = SectionConfig(size=size, cortical_share=cortical_share)
        section = cut_section(draw_patient(1, seed=0), config, np.random.default_rng(0))
        assert section.labels.shape == section.architecture.bone.shape == (size, size)
        measure_truth(section)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 16}, "size 16: at least 32 pixels"),
        ({"pixel_size_um": 0.0}, "pixel_size_um 0: take a value from 0.1 to 5"),
        ({"cortical_share": 1.5}, "a share from 0 to 1"),
        ({"thickness_um": -1.0}, "a thickness of at least 0"),
    ],
)
def test_bad_sections_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SectionConfig(**values)
