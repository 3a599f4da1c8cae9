"""In which unit lengths are reported: µm and mm where the voxel size is known, else voxels."""

from __future__ import annotations

from dataclasses import dataclass

_UNIT_VOXEL = (1.0, 1.0, 1.0)
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MM_PER_UM = 1e-3


@dataclass(frozen=True)
class Scale:
    """Size of a voxel, or that nobody knows it.

    Attributes:
        spacing_um: (Z, Y, X) in µm; None where it is not known.
    """

    spacing_um: tuple[float, float, float] | None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """(Z, Y, X) of a voxel in the unit in which measures are taken: µm, or voxels."""
        return self.spacing_um or _UNIT_VOXEL

    @property
    def voxel_volume(self) -> float:
        """In µm³, or 1 voxel³."""
        depth, height, width = self.spacing
        return depth * height * width

    @property
    def length_unit(self) -> str:
        """``µm`` or ``voxel``; ends the names of columns as ``um`` or ``voxel``."""
        return "voxel" if self.spacing_um is None else "µm"

    def micrometres(self, value: float, power: int = 1) -> tuple[float, str]:
        """A measure and its unit, in µm.

        Args:
            value: What was measured with ``spacing``.
            power: Of the length: 1 for a length, 3 for a volume, -3 for a number per volume.

        Returns:
            The value, as it is, and its unit, such as ``µm³``, or ``voxel³`` where the size of a
            voxel is not known.
        """
        return value, f"{self.length_unit}{_raised(power)}"

    def millimetres(self, value: float, power: int = 1) -> tuple[float, str]:
        """A measure and its unit, in mm.

        Args:
            value: What was measured with ``spacing``.
            power: As in :meth:`micrometres`.

        Returns:
            The value in mm and its unit, such as ``mm⁻³``; or the value as it is and ``voxel⁻³``
            where the size of a voxel is not known.
        """
        if self.spacing_um is None:
            return self.micrometres(value, power)
        return value * _MM_PER_UM**power, f"mm{_raised(power)}"


def _raised(power: int) -> str:
    return "" if power == 1 else str(power).translate(_POWERS)
