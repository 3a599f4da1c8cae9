"""One picture of a Zernike nanoCT phantom: what it looks like and why a threshold fails on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_modules.phantoms.spine_voxels import BONE, CLASS_NAMES, LCN, SHADE_OFF
from lotus.atomic import atomic_path
from lotus.masks import classes_in_ranges, multi_otsu_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Background, network, shade-off, bone.
_COLOURS = ("#101018", "#e8543f", "#5b9bd5", "#d9d2c0")
_RADIOGRAPH_RANGE = (0.3, 2.0)


@dataclass(frozen=True)
class Preview:
    """What is shown of a volume.

    Attributes:
        name: Of the volume.
        voxel_um: Edge of a voxel in µm.
        grey: Uint16 (Y, X), a slice.
        classes: Uint8 (Y, X), its true classes.
        radiograph: Float32 (Z, X), intensity over flat at 0°.
        opposite: Float32 (Z, X), that at 180°, not mirrored.
    """

    name: str
    voxel_um: float
    grey: NDArray[np.uint16]
    classes: NDArray[np.uint8]
    radiograph: NDArray[np.float32]
    opposite: NDArray[np.float32]


def write_preview(path: Path, preview: Preview) -> None:
    """Write the picture.

    Args:
        path: PNG file.
        preview: What to show.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 4)
    grey = preview.grey / 65535.0
    row = int((preview.classes == LCN).sum(axis=1).argmax())
    _show(axes[0, 0], grey, f"{preview.name}, voxel {preview.voxel_um:.3f} µm", (0.0, 1.0))
    axes[0, 0].axhline(row, color="#ffd040", linewidth=0.8)
    _show_classes(axes[0, 1], preview.classes, "truth")
    _show_classes(axes[0, 2], _by_darkness(multi_otsu_classes(grey)), "multi-Otsu, darkest as LCN")
    _show_classes(axes[0, 3], classes_in_ranges(grey), "fixed ranges of the paper")
    _show_profile(axes[1, 0], grey[row], preview.classes[row], preview.voxel_um)
    mirrored = preview.opposite[:, ::-1]
    _show(axes[1, 1], preview.radiograph, "radiograph at 0°", _RADIOGRAPH_RANGE)
    _show(axes[1, 2], mirrored, "at 180°, mirrored", _RADIOGRAPH_RANGE)
    _show(axes[1, 3], preview.radiograph - mirrored, "difference", (-0.6, 0.6))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=80)


def _show(axes: Axes, image: NDArray[Any], title: str, limits: tuple[float, float]) -> None:
    axes.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _show_classes(axes: Axes, classes: NDArray[np.uint8], title: str) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap(_COLOURS)
    axes.imshow(classes, cmap=colours, vmin=0, vmax=BONE, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _show_profile(
    axes: Axes, grey: NDArray[np.float64], classes: NDArray[np.uint8], voxel_um: float
) -> None:
    place = np.arange(len(grey)) * voxel_um
    axes.plot(place, grey, color="black", linewidth=0.8)
    for number, name in CLASS_NAMES.items():
        is_class = classes == number
        axes.fill_between(
            place, 0, 1, where=is_class, color=_COLOURS[number], alpha=0.45, linewidth=0, label=name
        )
    axes.set(xlim=(0, place[-1]), ylim=(0, 1), xlabel="µm", ylabel="grey value")
    axes.set_title("along the yellow line", fontsize=10)
    axes.legend(fontsize=8, loc="upper right")


def _by_darkness(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four classes from dark to bright as network, shade-off, background and bone."""
    return np.array([LCN, SHADE_OFF, 0, BONE], np.uint8)[classes]
