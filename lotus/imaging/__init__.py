"""Images, label maps and outlines: files in and out, with the pixel size where it is known."""

from lotus.imaging.geojson import object_features, write_features, write_geojson
from lotus.imaging.raster import (
    Raster,
    check_usable,
    read_image,
    read_label_map,
    read_size,
    write_image,
    write_label_map,
)
from lotus.imaging.slide import Slide
from lotus.imaging.tiled_writer import TiledWriter, write_tiled

__all__ = [
    "Raster",
    "Slide",
    "TiledWriter",
    "check_usable",
    "object_features",
    "read_image",
    "read_label_map",
    "read_size",
    "write_features",
    "write_geojson",
    "write_image",
    "write_label_map",
    "write_tiled",
]
