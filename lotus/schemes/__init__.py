"""Instance schemes: objects to what a network puts out, and back."""

from lotus.schemes.boundary_watershed import BoundaryWatershed
from lotus.schemes.connected_components import ConnectedComponents
from lotus.schemes.flow_field import FlowField
from lotus.schemes.scheme import InstanceScheme, PixelClasses

__all__ = [
    "BoundaryWatershed",
    "ConnectedComponents",
    "FlowField",
    "InstanceScheme",
    "PixelClasses",
]
