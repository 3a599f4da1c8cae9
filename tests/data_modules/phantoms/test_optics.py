"""Radiographs of the Zernike microscope, against exact cases of wave optics."""

from dataclasses import replace

import numpy as np
import pytest

from data_modules.phantoms.beamlines import BEAMLINES
from data_modules.phantoms.optics import phase_ring_filter, radiograph

BEAMLINE = replace(BEAMLINES["anatomix"], aperture_per_um=100.0)
NOTHING = replace(BEAMLINE, ring_transmission=1.0, ring_phase=0.0)


def take(path, beamline, offset=(0.0, 0.0)):
    return radiograph(path, beamline, phase_ring_filter(path.shape, beamline, offset))


def rod(depth=8, size=64, radius_um=2.0):
    """Path through a cylinder along z whose middle is the detector's."""
    x = (np.arange(size) + 0.5 - size / 2) * BEAMLINE.pixel_size_um
    chord = 2 * np.sqrt(np.maximum(radius_um**2 - x**2, 0))
    return np.tile(chord, (depth, 1)).astype(np.float32)


def test_energy_phase_and_path_are_those_of_the_paper():
    assert BEAMLINES["anatomix"].wavelength_um == pytest.approx(0.124e-3, rel=1e-3)
    assert BEAMLINES["p05"].wavelength_um == pytest.approx(0.1127e-3, rel=1e-3)
    # 38 µm of bone shift the phase by more than a turn: no weak-phase object.
    assert BEAMLINES["anatomix"].phase_per_um * 38 == pytest.approx(8.3, abs=0.1)
    assert BEAMLINES["p05"].binned(4).pixel_size_um == pytest.approx(0.352)


def test_the_band_lies_where_the_offset_says():
    beamline = replace(BEAMLINE, cutoff_per_um=1.0, aperture_per_um=4.0)
    transfer = phase_ring_filter((40, 64), beamline, (0.5, -0.3))
    z = np.fft.fftfreq(80, 0.094)[:, None]
    x = np.fft.fftfreq(transfer.shape[1], 0.094)[None, :]
    away = np.hypot(z - 0.5, x + 0.3)
    passed = np.hypot(z, x) < 3.99
    np.testing.assert_allclose(transfer[(away < 0.8) & passed], 0.75j, atol=2e-3)
    np.testing.assert_allclose(transfer[(away > 1.2) & passed], 1.0, atol=2e-3)
    assert (transfer[np.hypot(z, x) > 4.01] == 0).all()


def test_without_a_ring_and_an_aperture_only_absorption_is_seen():
    path = rod()
    expected = np.exp(-BEAMLINE.attenuation_per_um * path)
    np.testing.assert_allclose(take(path, NOTHING), expected, rtol=1e-4)


def test_air_is_one_whatever_the_ring():
    air = np.zeros((6, 40), np.float32)
    for offset in ((0.0, 0.0), (0.02, 0.05)):
        np.testing.assert_allclose(take(air, BEAMLINE, offset), 1.0, atol=1e-5)


def test_a_thin_fine_object_has_the_contrast_of_zernike():
    # I / flat = 1 - 2 θ sin φ / a, of a phase θ whose frequencies are all outside the band.
    beamline = replace(BEAMLINE, attenuation_per_um=0.0, cutoff_per_um=0.5)
    size = 128
    x = np.arange(size) * beamline.pixel_size_um
    period = size * beamline.pixel_size_um / 24  # 0.5 µm: 2 per µm
    path = np.tile(0.01 * np.cos(2 * np.pi * x / period), (4, 1)).astype(np.float32)
    transfer = phase_ring_filter((4, size), beamline, (0.0, 0.0))
    found = radiograph(path, beamline, transfer)[:, 40:90]
    theta = beamline.phase_per_um * path[:, 40:90]
    # The width of the transmission at the detector's ends adds a little from afar.
    np.testing.assert_allclose(found, 1 - 2 * theta / beamline.ring_transmission, atol=2e-4)


def test_a_thin_coarse_object_has_no_contrast():
    beamline = replace(BEAMLINE, attenuation_per_um=0.0, cutoff_per_um=2.0)
    x = (np.arange(128) - 64) * beamline.pixel_size_um
    path = np.tile(0.3 * np.exp(-((x / 2.0) ** 2)), (4, 1)).astype(np.float32)
    assert np.abs(take(path, beamline) - 1).max() < 1e-3
    # And with a narrow band it has: a tenth of its phase and more.
    narrow = replace(beamline, cutoff_per_um=0.02)
    assert np.abs(take(path, narrow) - 1).max() > 0.1 * beamline.phase_per_um * 0.3


def test_bone_is_dark_in_a_radiograph_with_a_bright_halo_around_it():
    found = take(rod(size=128), replace(BEAMLINE, attenuation_per_um=0.0))[0]
    rim = int(64 + 2.0 / BEAMLINE.pixel_size_um)
    assert found[60:68].max() < 0.6
    assert found[rim + 1 : rim + 10].min() > 1.3
    assert found[-4:].max() < 1.0


def test_only_a_ring_off_centre_tells_left_from_right():
    path = rod(radius_um=2.5)
    centred, shifted = take(path, BEAMLINE), take(path, BEAMLINE, (0.0, 0.06))
    np.testing.assert_allclose(centred, centred[:, ::-1], atol=1e-5)
    assert np.abs(shifted - shifted[:, ::-1]).max() > 0.05
    # The specimen and the ring turned together are the same picture, turned.
    other = take(path[:, ::-1], BEAMLINE, (0.0, -0.06))
    np.testing.assert_allclose(other, shifted[:, ::-1], atol=1e-4)


def test_a_rod_goes_on_beyond_both_ends():
    # Were it cut off or wrapped, rows near the ends would differ from those in the middle.
    found = take(rod(depth=10), BEAMLINE, (0.0, 0.05))
    np.testing.assert_allclose(found, np.tile(found[5], (10, 1)), atol=1e-4)
    # What is in the last row changes the one beside it, and not the first.
    step = np.concatenate([np.zeros((29, 64)), rod(depth=1)]).astype(np.float32)
    change = np.abs(take(step, replace(BEAMLINE, cutoff_per_um=3.0)) - 1).max(axis=1)
    assert change[28] > 0.1
    assert change[0] < 0.02


def test_the_aperture_ends_what_is_finest():
    path = np.tile([0.2, 0.0], (6, 16)).astype(np.float32)
    beamline = replace(BEAMLINE, attenuation_per_um=0.0, aperture_per_um=2.0)
    inner = take(path, beamline)[:, 8:24]
    assert np.abs(np.diff(inner, axis=1)).max() < 0.02
    open_ = take(path, replace(beamline, aperture_per_um=100.0))[:, 8:24]
    assert np.abs(np.diff(open_, axis=1)).max() > 0.05
