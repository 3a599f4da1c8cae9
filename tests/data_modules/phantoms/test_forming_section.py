"""Bone that forms bone: measures by construction beside slow ones of the pixels."""

import math

import numpy as np
import pytest

from data_modules.phantoms.anatomy import draw_patient
from data_modules.phantoms.fluorescence import FluorescenceConfig, simulate_fluorescence
from data_modules.phantoms.formation import (
    INTERLABEL_DAYS,
    Formation,
    Turnover,
    draw_turnover,
    form_bone,
)
from data_modules.phantoms.forming_section import (
    LABEL,
    MINERALISED,
    OSTEOID,
    FormingSection,
    cut_forming_section,
)
from data_modules.phantoms.surface import surface_of, trabecular_surface
from data_modules.phantoms.trichrome import TrichromeConfig, simulate_trichrome
from lotus.morphometry.histomorphometry import histomorphometry
from lotus.morphometry.section import measure_section

CLASSES = {"mineralised": MINERALISED, "osteoid": OSTEOID, "label": LABEL}


def circle(radius, centre, count=4000):
    angle = np.arange(count) * 2 * np.pi / count
    return np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def disc(osteoid=0.0, label1=0.0, label2=0.0, width=0.0, centre=(100.0, 100.0)):
    """A section of one round trabecula of radius 60 µm, 200 µm wide, covered all around."""
    surface = surface_of([circle(60.0, centre)], (200.0, 200.0))
    count = len(surface.points)
    formation = Formation(
        *(np.full(count, value) for value in (osteoid, label1, label2, width, width))
    )
    return FormingSection(surface, formation, *surface.locate((400, 400)), 0.5)


def test_a_disc_has_the_areas_and_lengths_of_its_circles():
    truth = disc(osteoid=10.0, label1=30.0, label2=18.0, width=4.0).truth(labels=True)
    assert truth["B.Pm (mm)"] == pytest.approx(2 * np.pi * 0.060, rel=1e-5)
    assert truth["B.Ar (mm2)"] == pytest.approx(np.pi * 0.060**2, rel=1e-5)
    assert truth["O.Ar (mm2)"] == pytest.approx(np.pi * (0.060**2 - 0.050**2), rel=1e-5)
    assert truth["OV/BV (%)"] == pytest.approx(100 * (1 - 25 / 36), rel=1e-5)
    assert truth["OS/BS (%)"] == pytest.approx(100.0)
    assert truth["O.Th (um)"] == pytest.approx(10.0 * np.pi / 4)
    assert truth["MS/BS (%)"] == pytest.approx(100.0)
    assert truth["Ir.L.Wi (um)"] == pytest.approx(12.0)
    assert truth["MAR (um/d)"] == pytest.approx(12.0 * np.pi / 4 / INTERLABEL_DAYS)
    assert truth["BFR/BS (um3/um2/yr)"] == pytest.approx(365 * 12.0 * np.pi / 4 / INTERLABEL_DAYS)


def test_the_edge_of_the_image_is_no_surface():
    # A quarter of the disc is in the image, and its edges are not counted.
    truth = disc(osteoid=10.0, centre=(0.0, 200.0)).truth(labels=False)
    assert truth["B.Pm (mm)"] == pytest.approx(np.pi / 2 * 0.060, rel=1e-3)
    assert truth["B.Ar (mm2)"] == pytest.approx(np.pi / 4 * 0.060**2, rel=1e-3)
    assert truth["O.Ar (mm2)"] == pytest.approx(np.pi / 4 * (0.060**2 - 0.050**2), rel=1e-3)
    assert not any(name.startswith(("MS/", "MAR", "sL.")) for name in truth)


def test_one_label_is_single_and_has_no_rate():
    section = disc(osteoid=5.0, label1=20.0, label2=10.0, width=3.0)
    section.formation.width1[:] = 0.0
    truth = section.truth(labels=True)
    assert truth["sL.Pm (mm)"] == pytest.approx(truth["B.Pm (mm)"])
    assert truth["dL.Pm (mm)"] == 0.0
    assert truth["MS/BS (%)"] == pytest.approx(50.0)
    assert math.isnan(truth["MAR (um/d)"])
    assert math.isnan(truth["BFR/BS (um3/um2/yr)"])


def test_pixels_of_a_disc_are_classes_by_their_distance_from_its_middle():
    section = disc(osteoid=10.0, label1=30.0, label2=18.0, width=4.0)
    middle = np.indices((400, 400)) * 0.5 + 0.25 - 100.0
    depth = 60.0 - np.hypot(*middle)
    expected = np.select(
        [depth <= 0, depth < 10, abs(depth - 18) < 2, abs(depth - 30) < 2], [0, 2, 3, 3], 1
    )
    assert (section.class_map(labels=True) != expected).mean() < 1e-4
    bare = np.where(expected == LABEL, MINERALISED, expected)
    assert (section.class_map(labels=False) != bare).mean() < 1e-4


def crofton(mask):
    """Perimeter in pixels: how often lines of four directions enter or leave, edges apart."""
    straight = [(mask[1:] != mask[:-1]).sum(), (mask[:, 1:] != mask[:, :-1]).sum()]
    oblique = [
        (mask[1:, 1:] != mask[:-1, :-1]).sum(),
        (mask[1:, :-1] != mask[:-1, 1:]).sum(),
    ]
    return np.pi / 8 * (sum(straight) + sum(oblique) / np.sqrt(2))


@pytest.fixture(scope="module")
def sections():
    """Of six patients; pixels of 0.75 µm."""
    return [
        cut_forming_section(draw_patient(n, seed=2), 400, 0.75, np.random.default_rng([2, n]))
        for n in range(6)
    ]


@pytest.mark.slow
def test_truth_is_what_pixels_show(sections):
    for section in sections:
        truth, classes = section.truth(labels=True), section.class_map(labels=True)
        pixel = 0.75**2 * 1e-6
        for name, value in (("B.Ar (mm2)", classes > 0), ("O.Ar (mm2)", classes == OSTEOID)):
            assert truth[name] == pytest.approx(np.count_nonzero(value) * pixel, rel=0.01)
        assert truth["B.Pm (mm)"] == pytest.approx(crofton(classes > 0) * 0.75e-3, rel=0.04)
        # Label area over label length: the mean width, which is drawn between 3 and 7 µm.
        length = 1e3 * (2 * truth["dL.Pm (mm)"] + truth["sL.Pm (mm)"])
        area = np.count_nonzero(classes == LABEL) * 0.75**2
        assert 2.5 * length <= area <= 8.0 * length


@pytest.mark.slow
def test_measures_of_the_class_maps_are_the_truth(sections):
    forming = []
    for section in sections:
        truth, classes = section.truth(labels=True), section.class_map(labels=True)
        primary = measure_section(classes, CLASSES, (0.75, 0.75)).primary
        found = histomorphometry(primary, interlabel_days=INTERLABEL_DAYS)
        for name in ("O.Th (um)", "MAR (um/d)", "B.Pm (mm)"):
            assert found[name] == pytest.approx(truth[name], rel=0.03, nan_ok=True)
        for name in ("BV/TV (%)", "OV/BV (%)", "OS/BS (%)"):
            assert found[name] == pytest.approx(truth[name], abs=2.0)
        forming.append((found["MS/BS (%)"], truth["MS/BS (%)"]))
    # Where the edge of an image cuts a label lengthwise, it is a matter of taste whether it is
    # seen: of a single section MS/BS is less certain than of several.
    assert np.mean([a - b for a, b in forming]) == pytest.approx(0.0, abs=1.0)
    assert np.median([abs(a - b) for a, b in forming]) < 1.0


def test_seams_meet_nothing_of_another_surface(sections):
    for section in sections:
        formation, surface = section.formation, section.surface
        for depth, width in (
            (formation.label1, formation.width1),
            (formation.label2, formation.width2),
            (formation.osteoid, formation.osteoid),
        ):
            there = width > 0
            places = surface.at_depth(depth)[there]
            gaps = np.linalg.norm(places[::40, None] - surface.points[None], axis=2).min(axis=1)
            assert (gaps > 0.9 * depth[there][::40]).all()


def test_a_patient_is_the_same_in_both_modalities_and_patients_differ():
    turnovers = [draw_patient(number, seed=4).turnover for number in range(8)]
    assert len(set(turnovers)) == 8
    assert turnovers[5] == draw_turnover(5, seed=4)
    assert turnovers[5] != draw_turnover(5, seed=5)
    mean = np.mean([draw_turnover(n, seed=0).osteoid_thickness_um for n in range(400)])
    assert mean == pytest.approx(9.0, rel=0.05)


def test_turnover_says_how_much_surface_is_covered_how_wide_and_how_fast():
    surface = trabecular_surface((1500.0, 1500.0), 0.35, np.random.default_rng(1))
    inside = surface.is_inside(surface.points)
    for turnover in (Turnover(0.1, 6.0, 0.6), Turnover(0.3, 11.0, 0.8)):
        found = form_bone(surface, turnover, np.random.default_rng(5))
        seam = found.osteoid[inside & (found.osteoid > 0)]
        # The last site goes on beyond what is wanted, by a third of a millimetre at most.
        excess = np.mean(found.osteoid[inside] > 0) - turnover.osteoid_surface
        assert 0.0 <= excess < 330.0 / surface.shares[inside].sum()
        # Sections see 4/pi times the thickness; ends of seams are thinner.
        assert np.median(seam) * np.pi / 4 == pytest.approx(turnover.osteoid_thickness_um, rel=0.1)
        rate = found.interlabel[found.interlabel > 0].mean() * np.pi / 4 / INTERLABEL_DAYS
        assert rate == pytest.approx(turnover.apposition_um_per_day, rel=0.15)


@pytest.mark.parametrize(
    ("simulate", "config", "values"),
    [
        (simulate_trichrome, TrichromeConfig(160, 1.0), {0, 1, 2}),
        (simulate_fluorescence, FluorescenceConfig(160, 1.0), {0, 1, 2, 3}),
    ],
)
def test_images_show_their_classes(simulate, config, values):
    patient = draw_patient(1, seed=0)
    first, again = (simulate(patient, config, np.random.default_rng(6)) for _ in range(2))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.image.dtype == np.uint8
    assert first.image.shape == (160, 160, 3)
    assert set(np.unique(first.labels)) == values
    assert first.mask_kind == "semantic"
    colour = {k: np.median(first.image[first.labels == k], axis=0) for k in values}
    if LABEL in values:
        assert colour[LABEL].sum() > 1.5 * colour[MINERALISED].sum()
        assert colour[MINERALISED].sum() > 1.2 * colour[OSTEOID].sum()
    else:
        assert colour[OSTEOID][0] > colour[OSTEOID][2]  # red
        assert colour[MINERALISED][0] < min(colour[MINERALISED][1:])  # blue or green


def test_bad_sizes_are_refused():
    patient, rng = draw_patient(0, seed=0), np.random.default_rng(0)
    with pytest.raises(ValueError, match="size 8: at least 32"):
        cut_forming_section(patient, 8, 1.0, rng)
    with pytest.raises(ValueError, match=r"pixel_size_um 9: take a value from 0\.1 to 5"):
        cut_forming_section(patient, 64, 9.0, rng)
