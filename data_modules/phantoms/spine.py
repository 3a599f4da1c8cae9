"""A spine of a zebrafish's vertebra: outline, lacunae and canaliculi as geometry, in µm.

A spine is a rod of bone some tens of micrometres wide; it stands along the rotation axis (z). Its
lacunae lie along it, flat against its surface, and canaliculi run from them to the surface and to
their neighbours. Lacunae are smaller and closer than in human bone: about eight in 40 µm of spine,
none thicker than about 3.5 µm, and with the canaliculi 2 % of the bone (Silveira et al., J.
Synchrotron Rad. 2024). Beyond these figures sizes and numbers are choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.lacunae import (
    Ellipsoids,
    LacunaPopulation,
    keep_apart,
    sample_centres,
    shape_ellipsoids,
)

DIAMETER_UM = 38.0
"""Of the whole spine, whose lacunae have the sizes given here; a thinner one is a smaller copy."""

_FLATTENING = 0.85
_WAVES = (2, 3, 4, 5)
_WAVE_HEIGHT, _WAVE_UM = 0.05, 60.0
_LACUNAE = LacunaPopulation(330_000.0, 60.0, 18.0, 3.5, 1.6)
# Long axes run along the spine, where lacunae keep twice the distance that they keep across it.
_DISTANCE_UM, _STRETCH = 6.5, 2.0
_LEAN_DEGREES = 8.0
# No two lacunae come nearer to each other than this, so that they can be counted.
_GAP_UM = 1.0
_SURFACE_GAP_UM = 3.0
_CANALICULI_PER_LACUNA = (14, 24)
_LENGTH_UM, _WIDTH_UM = (5.0, 12.0), (0.25, 0.5)
_NEIGHBOUR_UM, _LINKS = 16.0, 2
# A tube of this radius in voxels holds a connected chain of voxel centres.
_THINNEST_VOXELS = 0.8


@dataclass(frozen=True)
class Outline:
    """Surface of a spine: an ellipse with waves around and along it.

    Attributes:
        diameter_um: The spine is nowhere wider.
        waves: Float64 (M,): waves around the spine.
        height: Float64 (M,): their amplitudes as a share of the radius.
        phase: Float64 (M,): their phases at z = 0 in radians.
        turn_per_um: Float64 (M,): how their phases go on along z, in radians per µm.
    """

    diameter_um: float
    waves: NDArray[np.float64]
    height: NDArray[np.float64]
    phase: NDArray[np.float64]
    turn_per_um: NDArray[np.float64]

    def depth_um(
        self, z: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distance to the surface along the line to the spine's axis, inside above 0.

        Args:
            z: Along the axis in µm.
            y: From the axis in µm.
            x: From the axis in µm; the three are broadcast.

        Returns:
            Float64 in µm, exact along x, up to a sixth too large along y where the spine is flat.
        """
        y = y / _FLATTENING
        angle = np.arctan2(y, x)
        radius = np.full(np.broadcast_shapes(z.shape, angle.shape), self.diameter_um / 2)
        for order, height, phase, turn in zip(
            self.waves, self.height, self.phase, self.turn_per_um, strict=True
        ):
            # cos(a + b) by its parts: the angle is known per pixel and the turn per slice.
            around, along = order * angle + phase, turn * z
            wave = np.cos(around) * np.cos(along) - np.sin(around) * np.sin(along)
            radius -= self.diameter_um / 2 * height * (1.0 + wave)
        return np.asarray(radius - np.hypot(y, x))


@dataclass(frozen=True)
class Canaliculi:
    """Canaliculi as quadratic Bézier curves with round sections.

    Attributes:
        controls: Float64 (N, 3, 3): start, control and end point of each, as (z, y, x) in µm.
        radius_um: Float64 (N,).
    """

    controls: NDArray[np.float64]
    radius_um: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of canaliculi."""
        return len(self.radius_um)

    def pieces(self, step_um: float) -> tuple[NDArray[np.float64], ...]:
        """Cut all canaliculi into straight pieces no longer than a step.

        Args:
            step_um: In µm.

        Returns:
            Float64 middle (P, 3) of each piece in µm, its length (P,) and its radius (P,).
        """
        start, control, end = self.controls.transpose(1, 0, 2)
        # No quadratic Bézier curve is longer than its control polygon.
        reach = np.linalg.norm(control - start, axis=1) + np.linalg.norm(end - control, axis=1)
        # Between even steps of its parameter a curve goes at most twice the mean step of it.
        counts = np.maximum(np.ceil(2 * reach / step_um).astype(int), 1)
        middles, lengths = [np.empty((0, 3))], [np.empty(0)]
        for points, count in zip(self.controls, counts, strict=True):
            t = np.linspace(0.0, 1.0, count + 1)[:, None]
            curve = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
            middles.append((curve[1:] + curve[:-1]) / 2)
            lengths.append(np.linalg.norm(np.diff(curve, axis=0), axis=1))
        return np.concatenate(middles), np.concatenate(lengths), np.repeat(self.radius_um, counts)


@dataclass(frozen=True)
class Spine:
    """A spine; z counts from the first slice's face, y and x from the axis.

    Attributes:
        outline: Its surface.
        lacunae: Those that reach into the volume or have canaliculi there.
        canaliculi: Of these lacunae.
    """

    outline: Outline
    lacunae: Ellipsoids
    canaliculi: Canaliculi


def draw_spine(
    height_um: float, diameter_um: float, voxel_um: float, rng: np.random.Generator
) -> Spine:
    """Draw a spine with its network.

    Args:
        height_um: Part of it that is seen.
        diameter_um: Its width; all lengths but the widths of canaliculi follow it.
        voxel_um: Edge of a voxel; no canaliculus is thinner than 1.6 voxels, so that none falls
            into pieces.
        rng: Random generator.

    Returns:
        The spine, with at least one lacuna inside the part.
    """
    scale = diameter_um / DIAMETER_UM
    outline = _draw_outline(diameter_um, scale, rng)
    centre = _draw_centres(height_um, outline, scale, rng)
    normal = np.arctan2(centre[:, 1], centre[:, 2])
    lean = np.deg2rad(_LEAN_DEGREES)
    elevation = rng.normal(np.pi / 2, lean, len(centre))
    unit = shape_ellipsoids(centre, normal, elevation, _LACUNAE, rng)
    lacunae = Ellipsoids(unit.centre_um, unit.semi_axes_um * scale, unit.axes)
    lacunae = keep_apart(lacunae, _GAP_UM * scale)
    return Spine(outline, lacunae, _draw_canaliculi(lacunae, scale, voxel_um, rng))


def _draw_outline(diameter_um: float, scale: float, rng: np.random.Generator) -> Outline:
    waves = np.array(_WAVES, float)
    turn = rng.uniform(-1.0, 1.0, len(waves)) * 2 * np.pi / (_WAVE_UM * scale)
    phase = rng.uniform(0.0, 2 * np.pi, len(waves))
    return Outline(diameter_um, waves, _WAVE_HEIGHT / waves, phase, turn)


def _draw_centres(
    height_um: float, outline: Outline, scale: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres of lacunae deep in bone, also of those beyond both ends of the part."""
    margin = (_LENGTH_UM[1] + _DISTANCE_UM) * scale
    box = np.array([height_um + 2 * margin, outline.diameter_um, outline.diameter_um])
    squeezed = box / [_STRETCH, 1.0, 1.0] / scale
    centre = sample_centres(
        (float(squeezed[0]), float(squeezed[1]), float(squeezed[2])),
        _LACUNAE.density_per_mm3 * _STRETCH,
        rng,
        _DISTANCE_UM,
    )
    centre *= [_STRETCH * scale, scale, scale]
    centre -= [margin, *box[1:] / 2]
    centre = centre[outline.depth_um(*centre.T) > _SURFACE_GAP_UM * scale]
    inside = (centre[:, 0] > 0) & (centre[:, 0] < height_um)
    middle = np.array([[height_um / 2, 0.0, outline.diameter_um / 4]])
    # These first, as those that come too near to an earlier one go.
    first = centre[inside] if inside.any() else middle
    return np.concatenate([first, centre[~inside]])


def _draw_canaliculi(
    lacunae: Ellipsoids, scale: float, voxel_um: float, rng: np.random.Generator
) -> Canaliculi:
    """Canaliculi that end in bone or at its surface, and those that join two lacunae."""
    centre = lacunae.centre_um
    counts = rng.integers(*_CANALICULI_PER_LACUNA, len(centre), endpoint=True)
    start = np.repeat(centre, counts, axis=0)
    # They leave the flat faces rather than the tips.
    shape = np.repeat(lacunae.axes, counts, axis=0)
    along = rng.standard_normal((len(start), 3)) * [0.5, 1.0, 1.3]
    direction = np.einsum("nik,ni->nk", shape, along)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    end = start + direction * rng.uniform(*_LENGTH_UM, (len(start), 1)) * scale
    first, second = _neighbours(centre, scale)
    start = np.concatenate([start, centre[first]])
    end = np.concatenate([end, centre[second]])
    bow = 0.2 * np.linalg.norm(end - start, axis=1, keepdims=True)
    control = (start + end) / 2 + bow * rng.standard_normal(start.shape) / np.sqrt(3)
    width = rng.uniform(*_WIDTH_UM, len(start)) * scale
    radius = np.maximum(width / 2, _THINNEST_VOXELS * voxel_um)
    return Canaliculi(np.stack([start, control, end], axis=1), radius)


def _neighbours(
    centre: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of lacunae, each with its nearest ones within reach; every pair once."""
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :_LINKS]
    pairs = {
        (min(one, int(other)), max(one, int(other)))
        for one, others in enumerate(nearest)
        for other in others
        if distance[one, other] <= _NEIGHBOUR_UM * scale
    }
    joined = np.array(sorted(pairs), np.intp).reshape(-1, 2)
    return joined[:, 0], joined[:, 1]
