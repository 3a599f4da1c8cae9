"""The pixel size that a TIFF file states about itself.

Sources, in this order: OME-XML ``PhysicalSize``, ImageJ calibration, Aperio ``MPP``, and last the
TIFF resolution tags. Those tags are often just what a graphics program writes into every file, so
they only count when the unit is inch or centimetre, the pixel is smaller than 100 µm, and the value
is none of the resolutions of printers, scanners and screens.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage

_MICROMETRES: dict[str, float] = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "in": 25400.0,
    "inch": 25400.0,
    "inches": 25400.0,
    "m": 1e6,
    "meter": 1e6,
}
_PER_PIXEL = re.compile(r"\s*(?:/|per)\s*(?:px|pixel|voxel)s?$")
_INCH_UM, _CENTIMETRE_UM = 25400.0, 10000.0
_RESOLUTION_UNIT_UM = {2: _INCH_UM, 3: _CENTIMETRE_UM}
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_LARGEST_PIXEL_UM = 100.0
# What screens, printers and scanners have beside multiples of 50, in dots per inch.
_PRINTING_DPI = (72, 96, 144, 180, 240, 300, 350, 360, 400, 600, 720, 1200, 1440, 2400, 2880, 4800)
_LARGEST_PRINTING_DPI = 5000.0
_APERIO_MPP = re.compile(r"\bMPP\s*=\s*([0-9]*\.?[0-9]+)")


@dataclass(frozen=True)
class PixelSize:
    """Size of a pixel and where it is stated.

    Attributes:
        y: In µm.
        x: In µm.
        source: Which part of the file says so.
    """

    y: float
    x: float
    source: str

    @property
    def spacing_um(self) -> tuple[float, float]:
        """(Y, X) in µm."""
        return self.y, self.x

    def turned(self) -> PixelSize:
        """The size of the pixels of the image turned by a quarter."""
        return replace(self, y=self.x, x=self.y)


def in_um(spacing_um: tuple[float, float]) -> str:
    """A pixel size (Y, X) in words, such as "0.5 µm", or "0.5 x 0.25 µm" of pixels not square."""
    y, x = spacing_um
    return f"{y:.4g} µm" if y == x else f"{y:.4g} x {x:.4g} µm"


def micrometres(unit: str) -> float | None:
    """Return how many µm one ``unit`` is, or None for a unit that is no length ("pixel").

    Args:
        unit: As written by OME or ImageJ, in the singular or plural, "per pixel" or not; ImageJ may
            also write the micro sign as an escape.
    """
    name = unit.strip().replace("\\u00B5", "µ").replace("\u03bc", "µ").lower()
    name = _PER_PIXEL.sub("", name).replace("metre", "meter")
    return _MICROMETRES.get(name, _MICROMETRES.get(name.removesuffix("s")))


def tiff_pixel_size(tiff: TiffFile, page: TiffPage) -> PixelSize | None:
    """Return the pixel size of an image, None if the file states none.

    Args:
        tiff: An open file.
        page: First page of the image.
    """
    if tiff.is_ome and tiff.ome_metadata is not None:
        return _ome_pixel_size(tiff.ome_metadata, page) or _resolution_pixel_size(page)
    if tiff.is_imagej and tiff.imagej_metadata is not None:
        unit = micrometres(str(tiff.imagej_metadata.get("unit", "")))
        size = _per_unit(page, unit, "ImageJ calibration")
        # ImageJ makes an inch or centimetre calibration of the dots per inch of a photograph.
        if unit == _INCH_UM:
            return _unless_printed(size, _LARGEST_PIXEL_UM)
        return _unless_printed(size) if unit == _CENTIMETRE_UM else size
    if tiff.is_svs:
        stated = _APERIO_MPP.search(page.description)
        if stated is not None:
            return _positive(float(stated[1]), float(stated[1]), "Aperio MPP")
    return _resolution_pixel_size(page)


def ome_pixels(xml: str, page: TiffPage) -> ElementTree.Element | None:
    """Return the Pixels element of an image, None if the metadata have none.

    Args:
        xml: OME metadata; may be broken.
        page: First page of the image: of several, the first of its size is taken.
    """
    try:
        found = ElementTree.fromstring(xml).findall("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None
    size = (str(page.imagewidth), str(page.imagelength))
    fitting = [each for each in found if (each.get("SizeX"), each.get("SizeY")) == size]
    return next(iter(fitting or found), None)


def _ome_pixel_size(xml: str, page: TiffPage) -> PixelSize | None:
    """Read PhysicalSizeY and PhysicalSizeX."""
    pixels = ome_pixels(xml, page)
    if pixels is None:
        return None
    try:
        sizes = [
            float(pixels.attrib[f"PhysicalSize{axis}"])
            * (micrometres(pixels.attrib.get(f"PhysicalSize{axis}Unit", "µm")) or math.nan)
            for axis in "YX"
        ]
    except (KeyError, ValueError):
        return None
    return _positive(sizes[0], sizes[1], "OME metadata")


def _resolution_pixel_size(page: TiffPage) -> PixelSize | None:
    unit_um = _RESOLUTION_UNIT_UM.get(int(page.resolutionunit))
    return _unless_printed(_per_unit(page, unit_um, "TIFF resolution"), _LARGEST_PIXEL_UM)


def _unless_printed(size: PixelSize | None, limit_um: float = math.inf) -> PixelSize | None:
    """Drop what a graphics program or a printer's scanner writes by itself."""
    if size is None or max(size.spacing_um) >= limit_um:
        return None
    dots_per_inch = _INCH_UM / size.x
    # No round number of µm above 5 is a multiple of 50 dots per inch.
    multiple = 50.0 * round(dots_per_inch / 50.0)
    is_printed = any(math.isclose(dots_per_inch, dpi, rel_tol=1e-3) for dpi in _PRINTING_DPI) or (
        dots_per_inch < _LARGEST_PRINTING_DPI
        and math.isclose(dots_per_inch, multiple, rel_tol=1e-4)
    )
    return None if is_printed else size


def _per_unit(page: TiffPage, unit_um: float | None, source: str) -> PixelSize | None:
    """Turn pixels per unit into µm per pixel, without rounding the file's ratio first."""
    if unit_um is None:
        return None
    try:
        (x, per_x), (y, per_y) = (
            page.tags.valueof(code, default=(1, 1)) for code in (_X_RESOLUTION, _Y_RESOLUTION)
        )
        return _positive(unit_um * per_y / y, unit_um * per_x / x, source)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _positive(y: float, x: float, source: str) -> PixelSize | None:
    return PixelSize(y, x, source) if 0 < y < math.inf and 0 < x < math.inf else None
