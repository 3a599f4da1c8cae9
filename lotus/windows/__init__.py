"""Images and volumes of any size through a network: windows, their blending, objects across them.

Whatever segments an image goes this way, in validation and test as in `lotus segment`.
"""

from lotus.windows.array import segment_array
from lotus.windows.blending import Predict, ReadRows, blend_windows, network_input, read_bands
from lotus.windows.grid import OVERLAP, WINDOW, WindowGrid, window_grid, windows_at_once
from lotus.windows.label_bands import LabelBand, decode_bands
from lotus.windows.object_collector import FinishedObjects, ObjectCollector
from lotus.windows.partial_object import PartialObject
from lotus.windows.volume import ReadSlices, predict_slices, slab_indices, slab_input, slab_reach

__all__ = [
    "OVERLAP",
    "WINDOW",
    "FinishedObjects",
    "LabelBand",
    "ObjectCollector",
    "PartialObject",
    "Predict",
    "ReadRows",
    "ReadSlices",
    "WindowGrid",
    "blend_windows",
    "decode_bands",
    "network_input",
    "predict_slices",
    "read_bands",
    "segment_array",
    "slab_indices",
    "slab_input",
    "slab_reach",
    "window_grid",
    "windows_at_once",
]
