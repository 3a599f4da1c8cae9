"""What a person draws into an image: areas, lines and points.

Places are (y, x) in pixels from the upper left corner of the image, as in
``lotus.imaging.geojson``: pixel (i, j) reaches from (i, j) to (i + 1, j + 1), its middle is at
(i + 1/2, j + 1/2), and an image of Y times X pixels ends at (Y, X).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["polygon", "line", "points"]
Places = NDArray[np.float64]

_FEWEST = {"polygon": 3, "line": 2, "points": 1}


@dataclass(frozen=True)
class Drawing:
    """Something drawn.

    Attributes:
        name: What it is called; empty where it has no name.
        kind: Whether it is an area, a line or places.
        rings: (N, 2) float64 places (y, x) in pixels. Of a polygon its outlines in any order and
            direction, the first place not repeated at the end; what lies within an odd number of
            them belongs to it, so a ring within another is a hole, and one beside it another part.
            Of a line its parts, of points one array.
        classification: The class that QuPath gave it; empty elsewhere.
    """

    name: str
    kind: Kind
    rings: tuple[Places, ...]
    classification: str = ""

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.name or self.classification or f"a {self.kind} without name"


def checked_rings(kind: Kind, rings: list[Places]) -> tuple[Places, ...]:
    """Rings as :class:`Drawing` has them.

    Args:
        kind: What they are of.
        rings: (N, 2); those of a polygon may end where they begin.

    Returns:
        Arrays of float64, those of polygons without a repeated end.

    Raises:
        ValueError: No ring, too few places, or places that are no numbers.
    """
    found = []
    for ring in rings:
        places = np.asarray(ring, np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
            raise ValueError("it has places that are not two numbers")
        if kind == "polygon" and len(places) > 1 and (places[0] == places[-1]).all():
            places = places[:-1]
        if len(places) < _FEWEST[kind]:
            raise ValueError(
                f"it is a {kind} of {len(places)} places; at least {_FEWEST[kind]} are needed"
            )
        found.append(places)
    if not found:
        raise ValueError(f"it is a {kind} without places")
    return tuple(found)
