"""Grey values, classes and true measures of a scanned spine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data_modules.phantoms.spine import Spine
from data_modules.phantoms.spine_voxels import BONE, LCN, SHADE_OFF, Grid
from data_modules.phantoms.tomography import in_circle
from data_modules.phantoms.zernike_scan import Scan, ScanFiles

SMALLEST_SHARE = 0.05
"""Of a lacuna that the volume's first or last slice cuts; of less nobody would say what it is."""

# A reconstruction is stored between these percentiles of its values.
_WINDOW = (0.02, 99.98)
_SHADE_SPREADS = 0.75
_SHADE_BLUR = 1.5
_SAMPLED_SIDE = 128
_STEP_VOXELS = 0.5
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Development:
    """Slices made of what was reconstructed.

    Attributes:
        job: What was scanned.
        files: What came out.
        window: Values of the reconstruction that become 0 and 65,535.
        shade_limit: Bone is shade-off below this value of the smoothed noise-free reconstruction,
            no deeper below the surface than half a period of the phase ring's cut-off.
    """

    job: Scan
    files: ScanFiles
    window: tuple[float, float]
    shade_limit: float

    def grey(self, number: int) -> NDArray[np.uint16]:
        """One slice as it is stored, (Y, X).

        Args:
            number: Of the slice, from 0.
        """
        low, high = self.window
        grey = (np.asarray(self.files.open("noisy")[number], np.float64) - low) / (high - low)
        return np.rint(np.clip(grey, 0.0, 1.0) * 65535).astype(np.uint16)

    def classes(self, number: int) -> NDArray[np.uint8]:
        """The true classes of one slice, (Y, X): background 0, network 1, shade-off 2, bone 3.

        Args:
            number: Of the slice, from 0.
        """
        classes = np.array(self.files.open("classes")[number])
        bone = classes == BONE
        # The mean of bone around each pixel: dark lacunae have no part in it.
        share = gaussian_filter(bone.astype(np.float32), _SHADE_BLUR)
        clean = np.where(bone, self.files.open("clean")[number], 0.0)
        smooth = gaussian_filter(clean, _SHADE_BLUR) / np.maximum(share, 1e-6)
        beamline = self.job.beamline
        grid = Grid((number, number + 1), self.job.size, beamline.pixel_size_um)
        depth = self.job.spine.outline.depth_um(*grid.axes_um())[0]
        is_near = depth <= 0.5 / beamline.cutoff_per_um
        classes[bone & is_near & (smooth < self.shade_limit)] = SHADE_OFF
        return classes


def develop(job: Scan, files: ScanFiles) -> Development:
    """Find window and limit from the whole volume, every few pixels of it.

    The limit is the median of bone less 0.75 spreads (1.4826 times the median distance from it).

    Args:
        job: What was scanned.
        files: What came out.

    Returns:
        What gives its slices.
    """
    step = max(job.size // _SAMPLED_SIDE, 1)
    every = (slice(None), slice(None, None, step), slice(None, None, step))
    noisy, clean = files.open("noisy")[every], files.open("clean")[every]
    bone = clean[files.open("classes")[every] == BONE]
    low, high = np.percentile(noisy[:, in_circle(job.size)[every[1:]]], _WINDOW)
    middle = np.median(bone)
    spread = _MAD_TO_SD * np.median(np.abs(bone - middle))
    limit = float(middle - _SHADE_SPREADS * spread)
    return Development(job, files, (float(low), float(high)), limit)


def canalicular_length_um(spine: Spine, height_um: float, step_um: float) -> float:
    """Length of the canaliculi within bone, outside of lacunae.

    Args:
        spine: The specimen.
        height_um: Part of it that is seen.
        step_um: Pieces that are looked at, in µm.

    Returns:
        Length in µm; where two run into each other both count.
    """
    points, lengths, _ = spine.canaliculi.pieces(step_um)
    inside = (points[:, 0] >= 0) & (points[:, 0] <= height_um)
    inside &= spine.outline.depth_um(*points.T) > 0
    lacunae = spine.lacunae
    for centre, semi_axes, axes in zip(
        lacunae.centre_um, lacunae.semi_axes_um, lacunae.axes, strict=True
    ):
        inside &= np.linalg.norm((points - centre) @ axes.T / semi_axes, axis=1) > 1.0
    return float(lengths[inside].sum())


def lacuna_rows(job: Scan, voxels: list[int]) -> list[dict[str, float]]:
    """The lacunae in the volume, as rows of ``lacunae.csv``.

    Args:
        job: What was scanned.
        voxels: Number of voxels of each lacuna in the volume.

    Returns:
        For each that has a voxel its centre in the volume, volume and axes as drawn, and what of it
        is in the volume; ``is_whole`` is 1 unless the volume's first or last slice cuts it.
    """
    lacunae, voxel = job.spine.lacunae, job.beamline.pixel_size_um
    reach = np.sqrt(np.einsum("ni,ni->n", lacunae.axes[:, :, 0] ** 2, lacunae.semi_axes_um**2))
    height = job.depth * voxel
    rows = []
    for index in np.flatnonzero(voxels):
        z, y, x = lacunae.centre_um[index] + [0.0, *[job.size * voxel / 2] * 2]
        length, width, depth = 2 * lacunae.semi_axes_um[index]
        row = {"z_um": z, "y_um": y, "x_um": x, "volume_um3": lacunae.volume_um3[index]}
        row |= {"length_um": length, "width_um": width, "depth_um": depth}
        row["voxels"] = voxels[index]
        row["seen_share"] = voxels[index] * voxel**3 / lacunae.volume_um3[index]
        row["is_whole"] = int(reach[index] <= z <= height - reach[index])
        rows.append({name: float(value) for name, value in row.items()})
    return rows


def true_measures(
    job: Scan, counts: NDArray[np.intp], lacunae: list[dict[str, float]]
) -> dict[str, float]:
    """True measures of a volume, as columns of ``truth.csv``.

    Args:
        job: What was scanned.
        counts: (4,) voxels of each class.
        lacunae: Rows of :func:`lacuna_rows`.

    Returns:
        Porosity both ways, lacunae, canaliculi and the largest thickness; shade-off is bone. NaN
        where no lacuna is whole or counts.
    """
    voxel = job.beamline.pixel_size_um
    lcn, bone = int(counts[LCN]), int(counts[BONE] + counts[SHADE_OFF])
    length = canalicular_length_um(job.spine, job.depth * voxel, _STEP_VOXELS * voxel)
    counting = [row for row in lacunae if row["seen_share"] >= SMALLEST_SHARE]
    whole = [row for row in lacunae if row["is_whole"]]
    return {
        "voxel_size_um": voxel,
        "lcn_per_bone": lcn / bone,
        "lcn_per_bone_and_lcn": lcn / (bone + lcn),
        "shade_off_per_bone": int(counts[SHADE_OFF]) / bone,
        "bone_volume_um3": bone * voxel**3,
        "n_lacunae": len(counting),
        "n_whole_lacunae": len(whole),
        "mean_lacunar_volume_um3": (
            float(np.mean([row["volume_um3"] for row in whole])) if whole else float("nan")
        ),
        "canalicular_length_um": length,
        "canalicular_length_per_um2": length / ((bone + lcn) * voxel**3),
        # An ellipsoid holds no larger ball than that of its shortest axis.
        "largest_thickness_um": max((row["depth_um"] for row in counting), default=float("nan")),
    }
