"""A spine on the voxel grid, a block of slices at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.lacunae import Ellipsoids
from data_modules.phantoms.spine import Canaliculi, Spine

BACKGROUND, LCN, SHADE_OFF, BONE = 0, 1, 2, 3
CLASS_NAMES = {LCN: "lcn", SHADE_OFF: "shade_off", BONE: "bone"}

# Pieces of canaliculi in voxels: shorter than what connects neighbouring voxels.
_STEP_VOXELS = 0.5


@dataclass(frozen=True)
class Grid:
    """Where slices lie: (Z, Y, X) with Y = X, the spine's axis in their middle.

    Attributes:
        slices: First slice and the one behind the last.
        size: Edge of the slices in voxels.
        voxel_um: Edge of a voxel in µm.
    """

    slices: tuple[int, int]
    size: int
    voxel_um: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) in voxels."""
        return self.slices[1] - self.slices[0], self.size, self.size

    def to_voxels(self, points_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (..., 3) in µm in the frame of a spine as indices of voxels."""
        origin = [self.slices[0], -self.size / 2, -self.size / 2]
        return points_um / self.voxel_um - origin - 0.5

    def axes_um(self) -> tuple[NDArray[np.float64], ...]:
        """Centres of the voxels along z, y and x in µm, to be broadcast to the shape."""
        z = self.voxel_um * (np.arange(*self.slices, dtype=np.float64) + 0.5)
        across = self.voxel_um * (np.arange(self.size, dtype=np.float64) + 0.5 - self.size / 2)
        return z[:, None, None], across[:, None], across[None, :]


@dataclass(frozen=True)
class SpineVoxels:
    """A block of slices of a spine.

    Attributes:
        bone: Float32 (Z, Y, X): share of each voxel within the spine's surface.
        voids: Float32 (Z, Y, X): share of each voxel in lacunae or canaliculi within it.
        lacunae: Int32 (Z, Y, X): i + 1 where the voxel's centre is in lacuna i and in the spine.
    """

    bone: NDArray[np.float32]
    voids: NDArray[np.float32]
    lacunae: NDArray[np.int32]

    def classes(self) -> NDArray[np.uint8]:
        """Background, network or bone, whichever has half of the voxel; no shade-off yet."""
        classes = np.where(self.bone >= 0.5, np.uint8(BONE), np.uint8(BACKGROUND))
        classes[(self.voids >= 0.5) & (self.bone >= 0.5)] = LCN
        return classes


def draw_voxels(spine: Spine, grid: Grid) -> SpineVoxels:
    """Draw a spine's slices with smooth surfaces.

    Args:
        spine: What to draw.
        grid: Which slices.

    Returns:
        The voxels.
    """
    along, y, x = grid.axes_um()
    depth = np.stack([spine.outline.depth_um(z, y, x) for z in list(along)])
    bone = np.clip(depth / grid.voxel_um + 0.5, 0.0, 1.0).astype(np.float32)
    voids = np.zeros(grid.shape, np.float32)
    lacunae = np.zeros(grid.shape, np.int32)
    _draw_lacunae(spine.lacunae, grid, voids, lacunae)
    _draw_canaliculi(spine.canaliculi, grid, voids)
    lacunae[bone < 0.5] = 0
    return SpineVoxels(bone, np.minimum(voids, bone), lacunae)


def _draw_lacunae(
    lacunae: Ellipsoids, grid: Grid, voids: NDArray[np.float32], numbers: NDArray[np.int32]
) -> None:
    """Draw ellipsoids, each in its own box."""
    centre = grid.to_voxels(lacunae.centre_um)
    semi_axes = lacunae.semi_axes_um / grid.voxel_um
    reach = np.sqrt(np.einsum("nik,ni->nk", lacunae.axes**2, semi_axes**2)) + 1
    first = np.clip(np.floor(centre - reach), 0, grid.shape).astype(int)
    stop = np.clip(np.ceil(centre + reach) + 1, 0, grid.shape).astype(int)
    for number, axes in enumerate(lacunae.axes):
        box = tuple(slice(*ends) for ends in zip(first[number], stop[number], strict=True))
        voxels = np.moveaxis(np.mgrid[box], 0, -1) - centre[number]
        # First-order distance to the surface: (1 - f) / |grad f| with f the elliptic radius.
        unit = voxels @ axes.T / semi_axes[number]
        radius = np.linalg.norm(unit, axis=-1) + 1e-9
        slope = np.linalg.norm(unit / semi_axes[number], axis=-1) / radius
        distance = (1.0 - radius) / np.maximum(slope, 1.0 / semi_axes[number].max())
        voids[box] = np.maximum(voids[box], np.clip(distance + 0.5, 0.0, 1.0))
        numbers[box][distance >= 0] = number + 1


def _draw_canaliculi(canaliculi: Canaliculi, grid: Grid, voids: NDArray[np.float32]) -> None:
    """Draw tubes as balls along their axes, ever closer than voxels."""
    points, _, radius_um = canaliculi.pieces(_STEP_VOXELS * grid.voxel_um)
    position, radius = grid.to_voxels(points), radius_um / grid.voxel_um
    reach = int(np.ceil(radius.max(initial=0.0) + 0.5))
    near = (position > -reach - 1).all(axis=1) & (position < np.add(grid.shape, reach)).all(axis=1)
    position, radius = position[near], radius[near]
    corner = np.rint(position).astype(int)
    for offset in product(range(-reach, reach + 1), repeat=3):
        voxel = corner + offset
        share = np.clip(radius - np.linalg.norm(voxel - position, axis=1) + 0.5, 0.0, 1.0)
        hit = (share > 0) & (voxel >= 0).all(axis=1) & (voxel < grid.shape).all(axis=1)
        np.maximum.at(voids, tuple(voxel[hit].T), share[hit].astype(np.float32))
