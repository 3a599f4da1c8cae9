"""The tiles of ROI images: where they lie, and which of them show tissue."""

from lotus.transforms.tiles import REGION, TILE, tile_corners

__all__ = ["REGION", "TILE", "tile_corners"]
