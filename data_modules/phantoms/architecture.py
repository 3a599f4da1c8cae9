"""Where bone is in a section and how its lamellae run: trabecular or cortical."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_modules.phantoms.drawing import smooth_noise

# The trabecular network is drawn on a periodic square of this edge and looked at through a window.
_NETWORK_UM = 2400.0
NETWORK_STEP_UM = 6.0
_TRABECULAR_PERIOD_UM = 440.0
_CANDIDATE_WINDOWS = 4
_OSTEON_RADIUS_UM = (108.0, 20.0)
_OSTEONS_PER_MM2 = 34.0


@dataclass(frozen=True)
class Architecture:
    """Bone of a section on its pixel grid; every array is (Y, X).

    Attributes:
        kind: ``trabecular`` or ``cortical``.
        bone: Where bone is; lacunae belong to it.
        canal: Haversian canals; what is neither bone nor canal is marrow.
        surface_um: Float32 distance to the bone surface in µm, positive in bone.
        lamella_um: Float32 coordinate across the lamellae in µm.
        cement: Float32 strength of cement (reversal) lines, 0 to 1.
        packet: Float32 in [0, 1]; 0 is young, less mineralised bone.
        elevation: Mean and SD of the angle of lacunae out of the image plane, in radians.
    """

    kind: Literal["trabecular", "cortical"]
    bone: NDArray[np.bool_]
    canal: NDArray[np.bool_]
    surface_um: NDArray[np.float32]
    lamella_um: NDArray[np.float32]
    cement: NDArray[np.float32]
    packet: NDArray[np.float32]
    elevation: tuple[float, float]

    def crop(self, margin: int) -> Architecture:
        """The section without a frame of ``margin`` pixels."""
        inner = (slice(margin, -margin), slice(margin, -margin))
        return Architecture(
            self.kind,
            self.bone[inner],
            self.canal[inner],
            self.surface_um[inner],
            self.lamella_um[inner],
            self.cement[inner],
            self.packet[inner],
            self.elevation,
        )

    def normal_angle(self) -> NDArray[np.float32]:
        """Direction of the lamellar normal in radians, from +column towards +row."""
        smooth = ndimage.gaussian_filter(self.lamella_um, 1.5)
        rows, columns = np.gradient(smooth)
        angle: NDArray[np.float32] = np.arctan2(rows, columns)
        return angle


def trabecular_architecture(
    shape: tuple[int, int], pixel_size_um: float, bone_fraction: float, rng: np.random.Generator
) -> Architecture:
    """Trabeculae: a band-limited Gaussian random field cut at the wanted bone volume fraction.

    The window is the one with the most bone among a few, as one who images lacunae would choose.

    Args:
        shape: Rows and columns.
        pixel_size_um: Edge of a pixel in µm.
        bone_fraction: Bone volume fraction BV/TV of the network, between 0 and 1.
        rng: Random generator.

    Returns:
        The architecture; lamellae run along the surfaces, packets end in cement lines.
    """
    network = trabecular_network(bone_fraction, rng)
    step = pixel_size_um / NETWORK_STEP_UM
    corners = rng.random((_CANDIDATE_WINDOWS, 2)) * len(network)
    windows = [
        network_window(network, corner, shape, step, order=1, stride=8) for corner in corners
    ]
    best = int(np.argmax([np.mean(window > 0) for window in windows]))
    depth = network_window(network, corners[best], shape, step, order=3, stride=1)
    rough = smooth_noise(shape, 45.0 / pixel_size_um, rng)
    surface = depth + 3.0 * rough + 0.8 * smooth_noise(shape, 14.0 / pixel_size_um, rng)
    # Packets of 30-60 µm: where a scalloped shell ends, older bone begins behind a cement line.
    shell = depth - 42.0 - 11.0 * smooth_noise(shape, 130.0 / pixel_size_um, rng)
    shell += 5.0 * np.abs(smooth_noise(shape, 50.0 / pixel_size_um, rng))
    older = smooth_noise(shape, 160.0 / pixel_size_um, rng)
    inner = shell > 0
    warp = 14.0 * smooth_noise(shape, 140.0 / pixel_size_um, rng)
    lamella = np.where(inner, depth + 55.0 * older, depth + 0.4 * warp)
    bone = surface > 0
    packet = np.where(inner, 0.75 + 0.25 * np.tanh(2.0 * older), 0.35 + 0.15 * np.tanh(rough))
    cement = np.exp(-((shell / 1.3) ** 2)) * _faded(shape, pixel_size_um, rng)
    return Architecture(
        kind="trabecular",
        bone=bone,
        canal=np.zeros(shape, bool),
        surface_um=surface.astype(np.float32),
        lamella_um=lamella.astype(np.float32),
        cement=(cement * bone).astype(np.float32),
        packet=packet.astype(np.float32),
        elevation=(0.0, np.deg2rad(38.0)),
    )


def cortical_architecture(
    shape: tuple[int, int], pixel_size_um: float, canal_radius_um: float, rng: np.random.Generator
) -> Architecture:
    """Cortical bone cut across: osteons laid over each other in the order of remodelling.

    Args:
        shape: Rows and columns.
        pixel_size_um: Edge of a pixel in µm.
        canal_radius_um: Mean radius of the Haversian canals in µm.
        rng: Random generator.

    Returns:
        The architecture; lamellae are concentric in osteons, gently bent in interstitial bone.
    """
    extent = np.array(shape) * pixel_size_um
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = (rows + 0.5) * pixel_size_um, (columns + 0.5) * pixel_size_um
    direction = rng.uniform(0, np.pi)
    lamella = y * np.sin(direction) + x * np.cos(direction)
    lamella = lamella + 40.0 * smooth_noise(shape, 300.0 / pixel_size_um, rng)
    packet = 0.85 + 0.1 * smooth_noise(shape, 200.0 / pixel_size_um, rng)
    surface = np.full(shape, 100.0)
    cement = np.zeros(shape)
    wobble = 6.0 * smooth_noise(shape, 90.0 / pixel_size_um, rng)
    wobble += 1.0 * smooth_noise(shape, 18.0 / pixel_size_um, rng)
    for centre, radius, canal in _osteons(extent, canal_radius_um, rng):
        angle, aspect = rng.uniform(0, np.pi), rng.uniform(0.75, 1.0)
        age = rng.beta(2.0, 2.0)
        along = (x - centre[1]) * np.cos(angle) + (y - centre[0]) * np.sin(angle)
        across = (y - centre[0]) * np.cos(angle) - (x - centre[1]) * np.sin(angle)
        distance = np.hypot(along * np.sqrt(aspect), across / np.sqrt(aspect)) + wobble
        osteon = distance < radius
        rim = np.exp(-(((distance - radius) / 1.3) ** 2))
        cement = np.where(osteon, rim, np.maximum(cement, rim))
        lamella = np.where(osteon, distance, lamella)
        surface = np.where(osteon, distance - canal, surface)
        packet = np.where(osteon, 0.2 + 0.6 * age, packet)
    bone = surface > 0
    return Architecture(
        kind="cortical",
        bone=bone,
        canal=~bone,
        surface_um=surface.astype(np.float32),
        lamella_um=lamella.astype(np.float32),
        cement=(cement * bone * _faded(shape, pixel_size_um, rng)).astype(np.float32),
        packet=np.clip(packet, 0.0, 1.0).astype(np.float32),
        elevation=(np.deg2rad(38.0), np.deg2rad(22.0)),
    )


def _faded(
    shape: tuple[int, int], pixel_size_um: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Strength of a line that comes and goes along its way, 0.1 to 1."""
    return np.clip(0.5 + 0.4 * smooth_noise(shape, 70.0 / pixel_size_um, rng), 0.1, 1.0)


def _osteons(
    extent_um: NDArray[np.float64], canal_radius_um: float, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], float, float]]:
    """Centre, radius and canal radius in µm of osteons, oldest first."""
    reach = 200.0
    area = np.prod(extent_um + 2 * reach)
    osteons: list[tuple[NDArray[np.float64], float, float]] = []
    for centre in rng.random((rng.poisson(_OSTEONS_PER_MM2 * 1e-6 * area), 2)):
        centre = centre * (extent_um + 2 * reach) - reach
        radius = max(rng.normal(*_OSTEON_RADIUS_UM), 60.0)
        canal = min(canal_radius_um * np.exp(0.25 * rng.standard_normal()), 0.6 * radius)
        # An older canal is either outside of a new osteon or filled by it, seldom cut in half.
        gaps = [abs(np.hypot(*(centre - old)) - radius) - hole for old, _, hole in osteons]
        if min(gaps, default=np.inf) > 12.0:
            osteons.append((centre, radius, canal))
    return osteons


def trabecular_network(bone_fraction: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw trabeculae on a periodic square.

    Args:
        bone_fraction: Bone volume fraction BV/TV, between 0 and 1.
        rng: Random generator.

    Returns:
        Signed distance to the surface in µm on a periodic grid of :data:`NETWORK_STEP_UM`, positive
        in bone.
    """
    count = round(_NETWORK_UM / NETWORK_STEP_UM)
    frequency = np.fft.fftfreq(count, NETWORK_STEP_UM)
    rows, columns = np.meshgrid(frequency, frequency, indexing="ij")
    # Trabeculae follow the main load: the spectrum is stretched along a random direction.
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    along = (columns * np.cos(angle) + rows * np.sin(angle)) * stretch
    across = (rows * np.cos(angle) - columns * np.sin(angle)) / stretch
    wave = np.hypot(along, across) * _TRABECULAR_PERIOD_UM
    band = np.exp(-0.5 * ((wave - 1.0) / 0.3) ** 2)
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((count, count))) * band).real
    bone = field > np.quantile(field, 1.0 - bone_fraction)
    margin = count // 4
    wide = np.pad(bone, margin, mode="wrap")
    depth = ndimage.distance_transform_edt(wide) - ndimage.distance_transform_edt(~wide)
    inner = slice(margin, -margin)
    smooth: NDArray[np.float64] = ndimage.gaussian_filter(depth, 1.5)[inner, inner]
    return smooth * NETWORK_STEP_UM


def network_window(
    field: NDArray[np.float64],
    corner: NDArray[np.float64],
    shape: tuple[int, int],
    step: float,
    order: Literal[1, 3],
    stride: int,
) -> NDArray[np.float64]:
    """Look at a periodic field through a window.

    Args:
        field: (Y, X).
        corner: Of the window, (2,), in pixels of the field.
        shape: Rows and columns of the window.
        step: Distance of the window's pixels in pixels of the field.
        order: Of the splines between the field's values.
        stride: Only every so many rows and columns.

    Returns:
        Values (Y, X).
    """
    axes = [
        start + np.arange(0, length, stride) * step
        for start, length in zip(corner, shape, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    window: NDArray[np.float64] = ndimage.map_coordinates(
        field, grid, order=order, mode="grid-wrap"
    )
    return window
