"""How a volume is read, cut into windows, and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from lotus.imaging.voxels import checked_voxel_size
from lotus.inference.precision import Precision
from lotus.windows.grid import OVERLAP, WINDOW, window_grid

if TYPE_CHECKING:
    from lotus.imaging.ome_zarr_metadata import Version


@dataclass(frozen=True)
class VolumeOptions:
    """What is to be otherwise than in the test of the network, and what a file does not say.

    Attributes:
        window: Side of the square windows in pixels, a multiple of 32. None: as tested.
        overlap: Share of a window that its neighbour covers as well, in [0, 1). None: as tested.
        batch_size: Windows predicted at once; None: 1 on a CPU, 8 on a GPU.
        precision: "32" or "bf16". None: as tested, bf16 only where the device computes it.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
        voxel_size_um: Size of a voxel (Z, Y, X) in µm; goes before what the file states.
        at: Which index is meant along an axis of an OME-Zarr, by the axis' name.
        version: Of OME-Zarr that is written.
    """

    window: int | None = None
    overlap: float | None = None
    batch_size: int | None = None
    precision: Precision | None = None
    device: str = "auto"
    voxel_size_um: tuple[float, float, float] | None = None
    at: tuple[tuple[str, int], ...] = ()
    version: Version = "0.4"

    def __post_init__(self) -> None:
        """Check the values before any volume is opened.

        Raises:
            ValueError: A value outside its range.
        """
        window_grid(
            (1, 1),
            WINDOW if self.window is None else self.window,
            OVERLAP if self.overlap is None else self.overlap,
        )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch size is {self.batch_size}; expected at least 1 window")
        if self.precision not in (None, *get_args(Precision)):
            raise ValueError(
                f"precision is {self.precision!r}; expected one of {get_args(Precision)}"
            )
        if self.voxel_size_um is not None:
            checked_voxel_size(self.voxel_size_um)

    @property
    def of_windows(self) -> dict[str, Any]:
        """What is said here of windows and their prediction, by name."""
        names = ("window", "overlap", "batch_size", "precision")
        return {name: value for name in names if (value := getattr(self, name)) is not None}
