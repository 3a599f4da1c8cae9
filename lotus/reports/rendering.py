"""A structure in 3-D as a picture, coloured by a measure and shaded by its shape.

It is drawn into memory, so no display is needed.
"""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from lotus.reports.figures import STYLE
from lotus.reports.projection import Projection

COLOURS = "viridis"
DOTS_PER_INCH = 100
_KEY_WIDTH = 120
_LIGHT = np.array([-0.45, -0.35, 0.82])
_SMOOTHING = 1.0
_DARKEST = 0.55
_FARTHEST = 0.25
_BOX_COLOUR = "#9AA7B4"


def render(
    projection: Projection, *, measure: str, unit: str, highest: float | None = None
) -> NDArray[np.uint8]:
    """Draw a projection with the edges of its volume and the key to its colours.

    Args:
        projection: What is seen.
        measure: What the colours stand for.
        unit: Of the measure.
        highest: Value of the last colour, so that pictures can be compared; None: the highest seen.

    Returns:
        uint8 (H, W, 3).
    """
    limit = highest or float(np.nanmax(projection.values, initial=0)) or 1.0
    colours = ScalarMappable(Normalize(0, limit), COLOURS)
    height, width = projection.values.shape
    share = width / (width + _KEY_WIDTH)
    with matplotlib.rc_context({"figure.constrained_layout.use": False}, STYLE):
        figure = Figure((width / share / DOTS_PER_INCH, height / DOTS_PER_INCH))
        axes = figure.add_axes((0, 0, share, 1))
        axes.set_axis_off()
        edges = list(projection.box[..., ::-1])
        axes.add_collection(LineCollection(edges, colors=_BOX_COLOUR, linewidths=0.8))
        axes.imshow(_shaded(projection, colours), zorder=2)
        key = figure.add_axes((share + 0.02, 0.25, 0.02, 0.5))
        figure.colorbar(colours, cax=key, label=f"{measure} ({unit})")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return np.array(Image.open(buffer).convert("RGB"), dtype=np.uint8)


def _shaded(projection: Projection, colours: ScalarMappable) -> NDArray[np.floating]:
    """Colours (H, W, 4) as light from the upper left and distance make them."""
    is_seen = ~np.isnan(projection.values)
    drawn = np.asarray(colours.to_rgba(np.nan_to_num(projection.values)))
    drawn[..., 3] = is_seen
    if not is_seen.any():
        return drawn
    depth = np.where(is_seen, projection.depth, 0)
    # The stairs of voxels are smoothed, and nothing beside the structure weighs in.
    width = _SMOOTHING * projection.voxel / projection.pixel
    weight = gaussian_filter(is_seen.astype(np.float32), width)
    smooth = gaussian_filter(depth, width) / np.maximum(weight, np.finfo(np.float32).tiny)
    slope = np.gradient(np.where(is_seen, smooth, np.nan), projection.pixel)
    normal = np.nan_to_num(np.stack([-slope[0], -slope[1], np.ones_like(smooth)]))
    light = np.tensordot(_LIGHT, normal / np.linalg.norm(normal, axis=0), axes=1)
    distance = depth[is_seen].max() - depth
    distance /= max(np.ptp(depth[is_seen]), projection.pixel)
    brightness = np.maximum(light, _DARKEST) * (1 - _FARTHEST * distance)
    drawn[..., :3] *= brightness[..., None]
    return drawn
