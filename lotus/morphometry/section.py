"""From a class map of bone to the primary measures of histomorphometry, and their drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from lotus.masks import close_with_disk, connected_components
from lotus.morphometry.histomorphometry import PrimaryMeasures
from lotus.morphometry.interlabel import (
    LARGEST_INTERLABEL_UM,
    Labels,
    covered_surface,
    interlabel_fill,
    paired_labels,
)
from lotus.morphometry.label_lines import label_lines
from lotus.morphometry.lines import Line, Points, Spacing, contours, kept_parts, sample
from lotus.morphometry.osteoid import OsteoidSeams, osteoid_seams
from lotus.morphometry.spread import Spread

Transition = Literal["mineralised", "osteoid", "own"]
Mask = NDArray[np.bool_]

LABELS = ("label", "label1", "label2")
CLASSES = ("mineralised", "osteoid", *LABELS, "transition", "outside")
"""What values of a class map may stand for; every other one than ``outside`` is bone, and 0 is what
else the tissue holds. ``label1`` is the older label, ``label2`` the younger; ``label`` either."""
WIDEST_CRACK_UM = 5.0
"""Cracks and slits of bone that are narrower are no surface."""
SMALLEST_HOLE_UM2 = 300.0
"""Holes of bone below it are lacunae and cracks, not surfaces; islands of bone are debris."""


@dataclass(frozen=True)
class Section:
    """What was measured in one image, and the lines by which it was measured.

    Attributes:
        primary: Areas, perimeters and widths.
        fill_width: Interlabel width in µm by areas, beside that by perpendiculars; NaN where there
            is no double label.
        surface: Outlines of the bone.
        seams: Osteoid along them.
        labels: Label lines.
        interlabel: Perpendiculars (M, 2, 2) in µm between the lines of double labels.
        doubts: What a person should look at, a line each.
    """

    primary: PrimaryMeasures
    fill_width: float
    surface: Sequence[Line]
    seams: OsteoidSeams
    labels: Labels
    interlabel: Points
    doubts: Sequence[str]


def measure_section(
    class_map: NDArray[np.integer],
    classes: Mapping[str, int],
    spacing: Spacing,
    *,
    transition: Transition = "mineralised",
    largest_interlabel_um: float = LARGEST_INTERLABEL_UM,
    smallest_hole_um2: float = SMALLEST_HOLE_UM2,
    widest_crack_um: float = WIDEST_CRACK_UM,
) -> Section:
    """Measure a class map.

    Bone is all classes together; the rest and it are the tissue, without what is ``outside``.
    Cracks narrower than ``widest_crack_um`` are closed (by a disk), holes of bone smaller than
    ``smallest_hole_um2`` filled and islands of bone that are smaller left out, unless the border of
    the image cuts them; what is closed or filled is mineralised bone. B.Pm has no edge where the
    image ends or tissue is ``outside``. O.Pm is the part of B.Pm beneath which osteoid lies.

    Labels are thinned to lines (:func:`~lotus.morphometry.label_lines.label_lines`), these are told
    apart as single and double (:func:`~lotus.morphometry.interlabel.paired_labels`), and sL.Pm and
    dL.Pm are the bone surface that they cover, where a double label counts once: as the mean of its
    two lines.

    Args:
        class_map: (Y, X) integers, 0 where no class is.
        classes: Names of :data:`CLASSES` to the values of the map.
        spacing: Size of a pixel (Y, X) in µm.
        transition: What the zone between osteoid and mineralised bone counts as: one of these, or
            bone that is neither.
        largest_interlabel_um: Labels further apart are no double label.
        smallest_hole_um2: In µm².
        widest_crack_um: In µm; 0 closes none.

    Returns:
        The measures; those whose class is not among ``classes`` are NaN.

    Raises:
        ValueError: A value that stands for nothing, or not two axes.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.section import measure_section
        >>> image = np.zeros((100, 100), np.uint8)
        >>> image[:40], image[40:50] = 1, 2  # 10 px of osteoid on mineralised bone
        >>> found = measure_section(image, {"mineralised": 1, "osteoid": 2}, (2.0, 2.0)).primary
        >>> round(found.osteoid_width.mean, 2), round(found.osteoid_perimeter, 1)
        (20.0, 198.0)
    """
    if class_map.ndim != 2:
        raise ValueError(f"a class map is (Y, X), not {class_map.shape}")
    check_classes(class_map, classes)
    radius = round(widest_crack_um / 2.0 / float(np.mean(spacing)))
    masks = _Masks(class_map, classes, spacing, transition, smallest_hole_um2, radius)
    surface = _apart_from(contours(masks.bone, spacing), masks.outside, spacing)
    interface = contours(masks.bone & ~masks.osteoid, spacing)
    seams = osteoid_seams(surface, interface, masks.osteoid, spacing)
    labels, doubts = _labels(masks, surface, spacing, largest_interlabel_um)
    interlabel = labels.perpendiculars()
    primary = PrimaryMeasures(
        **masks.areas(),
        **_perimeters(surface, seams, labels, classes),
        osteoid_width=Spread.of(seams.widths),
        interlabel_width=Spread.of(np.linalg.norm(np.diff(interlabel, axis=1)[:, 0], axis=1)),
    )
    if not masks.bone.any():
        doubts = ["no bone", *doubts]
    fill = interlabel_fill(labels, masks.any_label, spacing)
    return Section(primary, fill, surface, seams, labels, interlabel, doubts)


def check_classes(class_map: NDArray[np.integer], classes: Mapping[str, int]) -> None:
    """Refuse values that stand for nothing.

    Args:
        class_map: Integers.
        classes: Names to values.

    Raises:
        ValueError: A name that is none of :data:`CLASSES`, one value for two names, or a value of
            the map that none has.

    Example:
        >>> import numpy as np
        >>> from lotus.morphometry.section import check_classes
        >>> check_classes(np.array([[0, 3]]), {"mineralised": 3})
    """
    strange = [name for name in classes if name not in CLASSES]
    if strange:
        raise ValueError(f"{strange[0]} is no class; known are {', '.join(CLASSES)}")
    values = list(classes.values())
    if len(set(values)) < len(values) or 0 in values:
        said = " ".join(f"{name}={value}" for name, value in classes.items())
        raise ValueError(f"{said}: each class needs a value of its own, other than 0")
    unknown = sorted(set(_values(class_map)) - {0, *values})
    if unknown:
        said = " ".join(f"{name}={value}" for name, value in classes.items()) or "no class"
        raise ValueError(
            f"the map holds the value {unknown[0]}, and the classes are {said}; say what it stands "
            f"for: --classes NAME={unknown[0]}, of {', '.join(CLASSES)}"
        )


def _values(class_map: NDArray[np.integer]) -> list[int]:
    """Values that there are; those of 8 bits are counted, which sorts nothing."""
    if class_map.dtype == np.uint8:
        return list(map(int, np.flatnonzero(np.bincount(class_map.ravel()))))
    return list(map(int, np.unique(class_map)))


class _Masks:
    """Tissues of a class map."""

    def __init__(
        self,
        class_map: NDArray[np.integer],
        classes: Mapping[str, int],
        spacing: Spacing,
        transition: Transition,
        smallest_um2: float,
        closing_radius: int,
    ) -> None:
        def of(name: str) -> Mask:
            value = classes.get(name)
            return np.asarray(
                np.zeros(class_map.shape, np.bool_) if value is None else class_map == value
            )

        self.classes, self.pixel = classes, spacing[0] * spacing[1]
        self.outside = of("outside")
        given = (class_map != 0) & ~self.outside
        if closing_radius:
            given = close_with_disk(given, closing_radius) & ~self.outside
        self.bone = _without_debris(given, smallest_um2, spacing)
        self.labels = {name: of(name) & self.bone for name in LABELS if name in classes}
        self.any_label = np.logical_or.reduce([np.zeros_like(given), *self.labels.values()])
        zone = of("transition") & self.bone
        self.osteoid = of("osteoid") & self.bone
        if transition == "osteoid":
            self.osteoid |= zone
        self.mineralised = self.bone & ~self.osteoid
        if transition == "own":
            self.mineralised &= ~zone

    def areas(self) -> dict[str, float]:
        """Of :class:`PrimaryMeasures`, in µm²."""
        found = {
            "tissue_area": ~self.outside,
            "bone_area": self.bone,
        }
        if "osteoid" in self.classes:
            found |= {"osteoid_area": self.osteoid, "mineralised_area": self.mineralised}
        return {name: float(np.count_nonzero(mask) * self.pixel) for name, mask in found.items()}


def _without_debris(bone: Mask, smallest_um2: float, spacing: Spacing) -> Mask:
    """Fill small holes and leave small islands out, except at the border of the image."""
    filled = bone | _small_parts(~bone, smallest_um2, spacing)
    return np.asarray(filled & ~_small_parts(filled, smallest_um2, spacing), np.bool_)


def _small_parts(mask: Mask, smallest_um2: float, spacing: Spacing) -> Mask:
    parts = connected_components(mask)
    areas = np.bincount(parts.ravel()) * (spacing[0] * spacing[1])
    small = areas < smallest_um2
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        small[edge] = False
    small[0] = False
    return np.asarray(small[parts], np.bool_) if small.any() else np.zeros_like(mask)


def _apart_from(lines: Sequence[Line], outside: Mask, spacing: Spacing) -> list[Line]:
    """Outlines without what runs along the tissue's end."""
    if not outside.any():
        return list(lines)
    near = binary_dilation(outside, np.ones((3, 3), np.bool_), iterations=2)
    return [
        part
        for line in lines
        for part in kept_parts(line, ~sample(near, line.points, spacing).astype(np.bool_))
    ]


def _labels(
    masks: _Masks, surface: Sequence[Line], spacing: Spacing, largest_um: float
) -> tuple[Labels, list[str]]:
    lines: list[Line] = []
    kinds: list[int] = []
    doubts: list[str] = []
    for kind, (name, mask) in enumerate(masks.labels.items()):
        found = label_lines(mask, spacing)
        lines += found.lines
        kinds += [kind] * len(found.lines)
        if len(found.junctions):
            y, x = found.junctions[0] / np.asarray(spacing)
            doubts.append(
                f"{name} touches or crosses itself at {len(found.junctions)} places, such as "
                f"x {x:.0f}, y {y:.0f} px: look at its lines there"
            )
    return paired_labels(lines, kinds, surface, masks.bone, spacing, largest_um), doubts


def _perimeters(
    surface: Sequence[Line],
    seams: OsteoidSeams,
    labels: Labels,
    classes: Mapping[str, int],
) -> dict[str, float]:
    """Of :class:`PrimaryMeasures`, in µm."""
    found = {"bone_perimeter": sum(line.length for line in surface)}
    if "osteoid" in classes:
        found["osteoid_perimeter"] = sum(
            float(line.shares[seam].sum())
            for line, seam in zip(surface, seams.covered, strict=True)
        )
    if any(name in classes for name in LABELS):
        covered = covered_surface(labels.lines, surface)
        both = sum(
            float(length[double].sum())
            for length, double in zip(covered, labels.double, strict=True)
        )
        found["double_label_perimeter"] = both / 2.0
        found["single_label_perimeter"] = sum(float(length.sum()) for length in covered) - both
    return found
