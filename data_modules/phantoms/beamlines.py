"""Zernike phase-contrast microscopes at two synchrotron beamlines, as the phantom images with them.

Energy, pixel and the refractive index of bone are those of the beamlines ANATOMIX (SOLEIL) and P05
(PETRA III) in Silveira et al., J. Synchrotron Rad. 2024, and of tabulated bone. Everything else
(cut-off, offset and transmission of the phase ring, aperture, photons) is a choice that makes halo
and shade-off look as that paper describes them, not a published value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_KEV_NM = 1.23984


@dataclass(frozen=True)
class Beamline:
    """What a radiograph depends on beside the specimen.

    Attributes:
        name: Of the beamline.
        energy_kev: Energy of the photons in keV.
        pixel_size_um: Edge of a detector pixel, seen from the specimen, in µm.
        delta: Decrement of the refractive index of bone, n = 1 - δ + iβ.
        attenuation_per_um: Linear attenuation coefficient μ of bone in 1/µm.
        cutoff_per_um: Radius of the spatial frequencies that cross the phase ring together with
            the direct beam, in 1/µm. What is coarser than its inverse has no phase contrast.
        ring_offset: Smallest and largest distance of the direct beam from the middle of that
            band, as a share of ``cutoff_per_um``; each specimen is adjusted differently.
        photons: Photons per pixel and radiograph without a specimen.
        ring_transmission: Share of the amplitude that the ring lets pass.
        ring_phase: Phase shift of the ring in radians; π/2 makes bone bright in -ln I.
        aperture_per_um: Largest frequency that the objective lets pass, in 1/µm.
    """

    name: str
    energy_kev: float
    pixel_size_um: float
    delta: float
    attenuation_per_um: float
    cutoff_per_um: float
    ring_offset: tuple[float, float]
    photons: float
    ring_transmission: float = 0.75
    ring_phase: float = np.pi / 2
    aperture_per_um: float = 4.5

    @property
    def wavelength_um(self) -> float:
        """Wavelength in µm."""
        return _KEV_NM / self.energy_kev * 1e-3

    @property
    def phase_per_um(self) -> float:
        """Phase shift of bone in radians per µm of path, 2πδ/λ."""
        return 2 * np.pi * self.delta / self.wavelength_um

    def binned(self, pixels: int) -> Beamline:
        """The same beamline with that many detector pixels along each axis read out as one.

        Args:
            pixels: At least 1. Photons per radiograph stay, as with a shorter exposure.

        Returns:
            The beamline with the larger pixel.
        """
        return replace(self, pixel_size_um=self.pixel_size_um * pixels)


BEAMLINES = {
    "anatomix": Beamline("anatomix", 10.0, 0.094, 4.3e-6, 0.0055, 0.133, (0.3, 0.5), 3000.0),
    "p05": Beamline("p05", 11.0, 0.088, 3.5e-6, 0.0042, 0.067, (0.0, 0.2), 300.0),
}
