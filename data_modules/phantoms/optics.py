"""Radiographs of a Zernike phase-contrast microscope, by the whole complex field.

The beam behind the specimen is T = exp(-μL/2 - i 2πδL/λ), L the path through bone. In the back
focal plane a ring shifts the phase of the direct beam, and of the band D of frequencies that cross
it: H = P [1 + (a exp(iφ) - 1) D], P the aperture (Zernike, Physica 9, 1942). The detector sees
|F⁻¹ H F T|². Since D is a band and not a point, the coarse part of the phase has no contrast, which
is where halos around edges and the shade-off of large bodies come from. Where D is off centre, the
image of the specimen turned by 180° is not the mirror image. 38 µm of bone shift the phase by 8
radians, so the weak-phase formula does not hold and is not used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import expit

from data_modules.phantoms.beamlines import Beamline

# The band ends within about this share of its radius.
_BAND_EDGE = 0.03


def phase_ring_filter(
    shape: tuple[int, int], beamline: Beamline, offset_per_um: tuple[float, float]
) -> NDArray[np.complex64]:
    """What objective and phase ring do to the spatial frequencies of a radiograph.

    Args:
        shape: (Z, X) of the radiograph in pixels.
        beamline: Pixel, band and ring.
        offset_per_um: Middle of the band D in 1/µm, (z, x).

    Returns:
        Complex64 H (Z', X') in the order of ``scipy.fft``, for the enlarged radiograph: mirrored
        along z, where the specimen goes on, and with air on both sides along x, so that nothing
        comes round from the other end.
    """
    rows, columns = _enlarged(shape)
    z = fft.fftfreq(rows, beamline.pixel_size_um)[:, None]
    x = fft.fftfreq(columns, beamline.pixel_size_um)[None, :]
    away = np.hypot(z - offset_per_um[0], x - offset_per_um[1]) / beamline.cutoff_per_um
    band = expit((1.0 - away) / _BAND_EDGE)
    ring = beamline.ring_transmission * np.exp(1j * beamline.ring_phase)
    passed = np.hypot(z, x) <= beamline.aperture_per_um
    return np.asarray(passed * (1.0 + (ring - 1.0) * band), np.complex64)


def radiograph(
    path_um: NDArray[np.float32], beamline: Beamline, transfer: NDArray[np.complex64]
) -> NDArray[np.float32]:
    """Intensity behind a specimen, without noise.

    Args:
        path_um: (Z, X) path of the beam through bone in µm.
        beamline: Refraction and attenuation of bone.
        transfer: Of :func:`phase_ring_filter` for this shape.

    Returns:
        Float32 (Z, X), divided by the intensity without a specimen: 1 in air.
    """
    rows, columns = path_um.shape
    left = (transfer.shape[1] - columns) // 2
    right = transfer.shape[1] - columns - left
    mirrored = np.pad(path_um, ((0, rows), (0, 0)), mode="symmetric")
    path = np.pad(mirrored, ((0, 0), (left, right))).astype(np.float32)
    per_um = np.complex64(-beamline.attenuation_per_um / 2 - 1j * beamline.phase_per_um)
    field = fft.ifft2(transfer * fft.fft2(np.exp(per_um * path)))[:rows, left : left + columns]
    flat = abs(transfer[0, 0]) ** 2
    return np.asarray((field.real**2 + field.imag**2) / flat, np.float32)


def _enlarged(shape: tuple[int, int]) -> tuple[int, int]:
    return 2 * shape[0], fft.next_fast_len(2 * shape[1])
