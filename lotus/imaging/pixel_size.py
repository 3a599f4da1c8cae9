"""The pixel size that a TIFF file states about itself.

Sources, in this order: OME-XML ``PhysicalSize``, ImageJ calibration, Aperio ``MPP``, and last the
TIFF resolution tags. Those tags are often just what a graphics program writes into every file, so
they only count when the unit is inch or centimetre, the pixel is smaller than 100 µm, and the value
is none of the printing defaults of 72, 96 and 300 dots per inch.
"""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage

_MICROMETRES: dict[str, float] = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,  # micro sign
    "μm": 1.0,  # Greek mu
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "in": 25400.0,
    "inch": 25400.0,
    "m": 1e6,
}
_RESOLUTION_UNIT_UM = {2: 25400.0, 3: 10000.0}
_PRINTING_DPI = (72.0, 96.0, 300.0)
_LARGEST_PIXEL_UM = 100.0
_APERIO_MPP = re.compile(r"\bMPP\s*=\s*([0-9]*\.?[0-9]+)")


def micrometres(unit: str) -> float | None:
    """Return how many µm one ``unit`` is, or None for a unit that is no length ("pixel").

    Args:
        unit: As written by OME or ImageJ; ImageJ may also write the micro sign as an escape.
    """
    return _MICROMETRES.get(unit.strip().replace("\\u00B5", "µ").lower())


def tiff_pixel_size(tiff: TiffFile) -> tuple[float, float] | None:
    """Return the pixel size (Y, X) of the first image in µm, None if the file states none.

    Args:
        tiff: An open file.
    """
    page = tiff.pages.first
    if tiff.is_ome and tiff.ome_metadata is not None:
        spacing = _ome_pixel_size(tiff.ome_metadata)
        return spacing if spacing is not None else _resolution_pixel_size(page)
    if tiff.is_imagej and tiff.imagej_metadata is not None:
        unit = str(tiff.imagej_metadata.get("unit", ""))
        # ImageJ copies the dots per inch of a photograph into an inch calibration.
        if unit not in ("inch", "in"):
            return _per_unit(page, micrometres(unit))
    if tiff.is_svs:
        stated = _APERIO_MPP.search(page.description)
        if stated is not None:
            return _positive(float(stated[1]), float(stated[1]))
    return _resolution_pixel_size(page)


def _ome_pixel_size(xml: str) -> tuple[float, float] | None:
    """Read PhysicalSizeY and PhysicalSizeX of the first Pixels element."""
    try:
        pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
        if pixels is None:
            return None
        sizes = [
            float(pixels.attrib[f"PhysicalSize{axis}"])
            * (micrometres(pixels.attrib.get(f"PhysicalSize{axis}Unit", "µm")) or math.nan)
            for axis in "YX"
        ]
    except (ElementTree.ParseError, KeyError, ValueError):
        return None
    return _positive(sizes[0], sizes[1])


def _resolution_pixel_size(page: TiffPage) -> tuple[float, float] | None:
    """Read the resolution tags and drop what a graphics program would write by itself."""
    spacing = _per_unit(page, _RESOLUTION_UNIT_UM.get(int(page.resolutionunit)))
    if spacing is None or max(spacing) >= _LARGEST_PIXEL_UM:
        return None
    dots_per_inch = 25400.0 / spacing[1]
    if any(math.isclose(dots_per_inch, dpi, rel_tol=1e-3) for dpi in _PRINTING_DPI):
        return None
    return spacing


def _per_unit(page: TiffPage, unit_um: float | None) -> tuple[float, float] | None:
    """Turn pixels per unit (X, Y in the file) into µm per pixel (Y, X)."""
    if unit_um is None:
        return None
    try:
        per_x, per_y = page.resolution
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (per_x > 0 and per_y > 0):
        return None
    return _positive(unit_um / per_y, unit_um / per_x)


def _positive(y: float, x: float) -> tuple[float, float] | None:
    return (y, x) if 0 < y < math.inf and 0 < x < math.inf else None
