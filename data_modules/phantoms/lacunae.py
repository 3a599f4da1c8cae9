"""Osteocyte lacunae as oriented ellipsoids in 3-D, and their exact sections by a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from data_modules.phantoms.drawing import Ellipses

# Centres closer than this do not occur: lacunae of human bone are one cell body apart and more.
MINIMUM_DISTANCE_UM = 16.0
# Half the longest lacuna that is drawn; longer ones are vanishingly rare at 410 ± 150 µm³.
REACH_UM = 24.0
_AXIS_JITTER = 0.12
_TILT_DEGREES = 9.0
_SURFACE_POINTS = 400


@dataclass(frozen=True)
class LacunaPopulation:
    """What the lacunae of one slice are drawn from.

    Attributes:
        density_per_mm3: Lacunae per mm³ of bone, between 1,000 and 50,000.
        volume_um3: Mean volume in µm³.
        volume_sd_um3: Standard deviation of the volume between lacunae of one slice, in µm³.
        length_to_depth: Longest over shortest axis.
        width_to_depth: Middle over shortest axis.
    """

    density_per_mm3: float
    volume_um3: float
    volume_sd_um3: float
    length_to_depth: float
    width_to_depth: float


@dataclass(frozen=True)
class Ellipsoids:
    """Lacunae in space.

    Attributes:
        centre_um: float64 (N, 3): z, y, x in µm; z = 0 is the middle of the section.
        semi_axes_um: float64 (N, 3): long, middle and short semi-axis in µm.
        axes: float64 (N, 3, 3): unit vectors (z, y, x) of these axes, ``axes[:, i]`` the i-th.
    """

    centre_um: NDArray[np.float64]
    semi_axes_um: NDArray[np.float64]
    axes: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of lacunae."""
        return len(self.centre_um)

    @property
    def volume_um3(self) -> NDArray[np.float64]:
        """Volume of each lacuna in µm³, (N,)."""
        volume: NDArray[np.float64] = 4.0 / 3.0 * np.pi * self.semi_axes_um.prod(axis=1)
        return volume

    def take(self, index: NDArray[np.bool_]) -> Ellipsoids:
        """The chosen lacunae."""
        return Ellipsoids(self.centre_um[index], self.semi_axes_um[index], self.axes[index])


def sample_centres(
    extent_um: tuple[float, float, float],
    density_per_mm3: float,
    rng: np.random.Generator,
    minimum_distance_um: float = MINIMUM_DISTANCE_UM,
) -> NDArray[np.float64]:
    """Draw the centres of lacunae: a Poisson process without close pairs (Matérn, type II).

    Every candidate gets a random age and yields to any older one within the minimum distance.
    With the ball volume v, candidates of intensity λp leave (1 - exp(-λp v)) / v, which is solved
    for the intensity wanted. The box is widened by the distance so that its faces are no barrier.

    Args:
        extent_um: Box (z, y, x) in µm.
        density_per_mm3: Wanted density.
        rng: Random generator.
        minimum_distance_um: Of two centres, in µm.

    Returns:
        Float64 (N, 3): z, y, x from 0 to the extent.

    Raises:
        ValueError: The density cannot be reached with the minimum distance.
    """
    ball = 4.0 / 3.0 * np.pi * minimum_distance_um**3
    filled = density_per_mm3 * 1e-9 * ball
    if not 0.0 < filled < 0.9:
        raise ValueError(
            f"lacunar density {density_per_mm3:g} per mm³ is not possible; "
            f"take a value between 0 and {0.9 / ball * 1e9:,.0f}"
        )
    extent = np.asarray(extent_um) + 2 * minimum_distance_um
    count = rng.poisson(-np.log1p(-filled) / ball * extent.prod())
    points = rng.random((count, 3)) * extent - minimum_distance_um
    # Points are in random order already, so their index serves as the age.
    pairs = cKDTree(points).query_pairs(minimum_distance_um, output_type="ndarray")
    keep = np.ones(count, bool)
    keep[pairs.max(axis=1)] = False
    keep &= ((points >= 0) & (points <= np.asarray(extent_um))).all(axis=1)
    return points[keep]


def shape_ellipsoids(
    centre_um: NDArray[np.float64],
    normal_angle: NDArray[np.float64],
    elevation: NDArray[np.float64],
    population: LacunaPopulation,
    rng: np.random.Generator,
) -> Ellipsoids:
    """Give every centre an ellipsoid that lies in its lamella.

    Volumes are log-normal; the shortest axis is the normal of the lamella but for a tilt of some
    degrees, the longest lies in the lamella.

    Args:
        centre_um: (N, 3) centres in µm.
        normal_angle: (N,) direction of the lamellar normal within the image plane, in radians.
        elevation: (N,) angle of the long axis out of the image plane, in radians.
        population: Density, size and shape.
        rng: Random generator.

    Returns:
        The lacunae, in the order of the centres.
    """
    count = len(centre_um)
    spread = np.log1p((population.volume_sd_um3 / population.volume_um3) ** 2)
    volume = population.volume_um3 * np.exp(
        rng.standard_normal(count) * np.sqrt(spread) - spread / 2
    )
    ratio = np.array([population.length_to_depth, population.width_to_depth, 1.0])
    shape = ratio * np.exp(_AXIS_JITTER * rng.standard_normal((count, 3)))
    shape /= np.cbrt(shape.prod(axis=1, keepdims=True))
    semi_axes = np.cbrt(3.0 * volume / (4.0 * np.pi))[:, None] * shape
    tilt = np.deg2rad(_TILT_DEGREES)
    angle = normal_angle + tilt * rng.standard_normal(count)
    lean = tilt * rng.standard_normal(count)
    normal = np.stack([np.sin(lean), np.cos(lean) * np.sin(angle), np.cos(lean) * np.cos(angle)], 1)
    tangent = np.stack([np.zeros(count), np.cos(angle), -np.sin(angle)], 1)
    upward = np.cross(tangent, normal)
    cosine, sine = np.cos(elevation)[:, None], np.sin(elevation)[:, None]
    axes = np.stack(
        [cosine * tangent + sine * upward, cosine * upward - sine * tangent, normal], axis=1
    )
    return Ellipsoids(centre_um, np.sort(semi_axes, axis=1)[:, ::-1], axes)


def keep_apart(ellipsoids: Ellipsoids, gap_um: float) -> Ellipsoids:
    """Leave out every lacuna that comes too near to one before it.

    Both are grown by half the gap all around; points all over the surface of the one must then lie
    outside of the other.

    Args:
        ellipsoids: Lacunae, none of which holds another one.
        gap_um: Smallest distance of two surfaces in µm.

    Returns:
        The lacunae that are left; the first is always there.
    """
    # Points spread evenly on a sphere along a spiral, and so on the surface of an ellipsoid.
    number = np.arange(_SURFACE_POINTS) + 0.5
    height, turn = 1 - 2 * number / _SURFACE_POINTS, np.pi * (1 + np.sqrt(5)) * number
    flat = np.sqrt(1 - height**2)
    sphere = np.stack([height, flat * np.cos(turn), flat * np.sin(turn)], axis=1)
    grown = ellipsoids.semi_axes_um + gap_um / 2
    kept = np.zeros(len(ellipsoids), np.bool_)
    for index, axes in enumerate(ellipsoids.axes):
        surface = ellipsoids.centre_um[index] + (sphere * grown[index]) @ axes
        others = ellipsoids.take(kept)
        offset = surface[:, None] - others.centre_um
        unit = np.einsum("pnk,nik->pni", offset, others.axes) / grown[kept]
        kept[index] = (np.linalg.norm(unit, axis=2) > 1.0).all()
    return ellipsoids.take(kept)


def cut_ellipsoids(
    ellipsoids: Ellipsoids, *, thickness_um: float, pixel_size_um: float, minimum_area_um2: float
) -> tuple[Ellipses, NDArray[np.float64], NDArray[np.bool_]]:
    """Section lacunae by a slab around z = 0.

    In a slab the outline that is seen is close to the largest cut within it, which is the one by
    the plane nearest to the centre. With q(p) = pᵀ A p, A = Σ aᵢ aᵢᵀ / sᵢ², that plane's cut is the
    ellipse of the in-plane block M = A[yx, yx] around -M⁻¹ b h with level 1 - (A_zz - bᵀ M⁻¹ b) h².

    Args:
        ellipsoids: Lacunae in space.
        thickness_um: Thickness of the slab in µm; 0 is a plane.
        pixel_size_um: Edge of a pixel in µm; pixel centres are at whole numbers.
        minimum_area_um2: Smaller cuts are left out: nobody can see them.

    Returns:
        The ellipses in pixels; for each the share of the slab's thickness that the lacuna fills,
        in (0, 1]; and a mask (N,) of the lacunae that were cut.
    """
    half = thickness_um / 2.0
    z = ellipsoids.centre_um[:, 0]
    height = np.clip(z, -half, half) - z
    matrix = np.einsum(
        "nij,nik,ni->njk", ellipsoids.axes, ellipsoids.axes, ellipsoids.semi_axes_um**-2.0
    )
    in_plane, mixed = matrix[:, 1:, 1:], matrix[:, 1:, 0]
    shift = np.linalg.solve(in_plane, mixed[:, :, None])[:, :, 0]
    depth_squared = 1.0 / (matrix[:, 0, 0] - (mixed * shift).sum(axis=1))
    level = 1.0 - height**2 / depth_squared
    area = np.pi * np.maximum(level, 0.0) / np.sqrt(np.linalg.det(in_plane))
    cut = area >= max(minimum_area_um2, 1e-9)
    level, in_plane = level[cut], in_plane[cut]
    values, vectors = np.linalg.eigh(in_plane)
    semi_axes = np.sqrt(level[:, None] / values)
    centre = ellipsoids.centre_um[cut, 1:] - shift[cut] * height[cut, None]
    angle = np.arctan2(vectors[:, 0, 0], vectors[:, 1, 0])
    reach = np.sqrt(depth_squared[cut])
    filled = np.minimum(z[cut] + reach, half) - np.maximum(z[cut] - reach, -half)
    share = np.clip(filled / thickness_um, 0.05, 1.0) if thickness_um > 0 else np.ones(cut.sum())
    pixels = Ellipses(centre / pixel_size_um - 0.5, semi_axes / pixel_size_um, angle)
    return pixels, share, cut
