"""Images, volumes, label maps and outlines: files in and out, with the pixel size if known."""

from lotus.imaging.geojson import object_features, write_features, write_geojson
from lotus.imaging.raster import (
    Raster,
    check_usable,
    read_image,
    read_label_map,
    read_pixel_size,
    read_size,
    write_image,
    write_label_map,
)
from lotus.imaging.slide import Slide
from lotus.imaging.tiff_volumes import volume_writer
from lotus.imaging.tiled_writer import TiledWriter, write_tiled
from lotus.imaging.volume import open_volume
from lotus.imaging.voxels import Volume

__all__ = [
    "Raster",
    "Slide",
    "TiledWriter",
    "Volume",
    "check_usable",
    "object_features",
    "open_volume",
    "read_image",
    "read_label_map",
    "read_pixel_size",
    "read_size",
    "volume_writer",
    "write_features",
    "write_geojson",
    "write_image",
    "write_label_map",
    "write_tiled",
]
