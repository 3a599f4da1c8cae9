"""Bone formation on a surface: osteoid seams and tetracycline labels of known width and length.

Widths are those of the section, before the section factor: a thickness of 10 µm in space is seen as
10 x 4/π µm on average, because sections cut surfaces obliquely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_modules.phantoms.surface import STEP_UM, Surface, Values

SECTION_FACTOR = 4.0 / math.pi
INTERLABEL_DAYS = 15.0
"""Midpoint to midpoint of two labellings of 3 days with 12 days between (3-12-3)."""
DAYS_AFTER_LABELS = 6.5
"""From the middle of the second labelling to the biopsy, five days after its end."""
_PATIENT_SPREAD = 0.22
_SITE_SPREAD = 0.12
_SITE_UM = (90.0, 330.0)
_TAPER_UM = 5.0
_SMALLEST_GAP_UM = 5.0
_LABEL_UM = (3.2, 6.5)
_SHORTEST_LABEL_UM = 18.0
# Whether a site has the older and the younger label, and how many of the sites.
_LABELS_OF_SITES = ((True, True), (False, True), (True, False), (False, False))
_SHARE_OF_SITES = (0.62, 0.16, 0.10, 0.12)
# Points between neighbouring sites.
_APART = 60


@dataclass(frozen=True)
class Turnover:
    """How a patient forms bone.

    Attributes:
        osteoid_surface: Share OS/BS of the surface that is covered by osteoid.
        osteoid_thickness_um: O.Th in space.
        apposition_um_per_day: Mineral apposition rate MAR in space.
    """

    osteoid_surface: float
    osteoid_thickness_um: float
    apposition_um_per_day: float


TYPICAL = Turnover(0.30, 9.0, 0.72)
"""Of human iliac bone O.Th and MAR, as reviews give them; more surface than there (0.1 to 0.2)
forms bone, so that most images show some."""


@dataclass(frozen=True)
class Formation:
    """What forms on each point of a surface, (N,) each and in µm; 0 where there is none.

    Attributes:
        osteoid: Width of the seam.
        label1: Depth of the middle of the older label.
        label2: Depth of the middle of the younger label.
        width1: Width of the older label.
        width2: Width of the younger label.
    """

    osteoid: Values
    label1: Values
    label2: Values
    width1: Values
    width2: Values

    @property
    def interlabel(self) -> Values:
        """From mid-label to mid-label, (N,); 0 where there are not both."""
        both = (self.width1 > 0) & (self.width2 > 0)
        return np.where(both, self.label1 - self.label2, 0.0)


def draw_turnover(number: int, *, seed: int) -> Turnover:
    """How a patient forms bone: log-normal around :data:`TYPICAL`, in all groups.

    Args:
        number: 0 for the first patient.
        seed: Seed of the whole data set.

    Returns:
        The same for each modality, so that a patient's sections belong together.
    """
    rng = np.random.default_rng([seed, number, 4_211])
    factor = np.exp(_PATIENT_SPREAD * rng.standard_normal(3) - _PATIENT_SPREAD**2 / 2)
    surface, osteoid, apposition = factor
    return Turnover(
        osteoid_surface=float(np.clip(TYPICAL.osteoid_surface * surface, 0.1, 0.5)),
        osteoid_thickness_um=float(np.clip(TYPICAL.osteoid_thickness_um * osteoid, 5.0, 15.0)),
        apposition_um_per_day=float(np.clip(TYPICAL.apposition_um_per_day * apposition, 0.5, 1.05)),
    )


def form_bone(surface: Surface, turnover: Turnover, rng: np.random.Generator) -> Formation:
    """Lay formation sites on a surface until the wanted share of it is covered.

    A site lies where the bone below is thick enough that what is laid there meets nothing of
    another surface; where it is thin, there is no older label. At its ends a seam thins out within
    5 µm.

    Args:
        surface: Where.
        turnover: How much of it, how wide, how fast.
        rng: Random generator.

    Returns:
        What is on each point.
    """
    found = Formation(*(np.zeros(len(surface.points)) for _ in fields(Formation)))
    inside = surface.is_inside(surface.points)
    wanted = turnover.osteoid_surface * np.count_nonzero(inside)
    apart = np.ones(len(surface.points), np.bool_)
    # Where there is room for both labels first, as whoever images labels looks for them.
    for deep, days in ((True, DAYS_AFTER_LABELS + INTERLABEL_DAYS), (False, DAYS_AFTER_LABELS)):
        room = surface.room(_reach(turnover, days))
        for start in rng.permutation(len(surface.points)):
            if np.count_nonzero(found.osteoid[inside]) >= wanted:
                return found
            line = next(part for part in surface.lines if part.start <= start < part.stop)
            total, count = line.stop - line.start, round(rng.uniform(*_SITE_UM) / STEP_UM)
            points = line.start + (start - line.start + np.arange(-_APART, count + _APART)) % total
            site = points[_APART:-_APART]
            if len(points) < total and (room & apart)[site].all():
                _form_site(found, surface, site, turnover, deep, rng)
                apart[points] = False
    return found


def _reach(turnover: Turnover, days: float) -> float:
    """How deep in µm the widest seam and the deepest label of so many days are."""
    widest = 1.4 * turnover.osteoid_thickness_um
    fastest = 1.35 * turnover.apposition_um_per_day * days
    return SECTION_FACTOR * (widest + fastest) + _LABEL_UM[1]


def _form_site(
    found: Formation,
    surface: Surface,
    points: NDArray[np.int64],
    turnover: Turnover,
    deep: bool,
    rng: np.random.Generator,
) -> None:
    """Osteoid and labels of one site: both labels, the younger, the older, or none."""
    count = len(points)
    own = np.exp(_SITE_SPREAD * np.clip(rng.standard_normal(2), -1.5, 1.5))
    osteoid = SECTION_FACTOR * turnover.osteoid_thickness_um * own[0]
    osteoid = osteoid * (1.0 + 0.10 * _along(count, 60.0, rng))
    rate = SECTION_FACTOR * turnover.apposition_um_per_day * own[1]
    younger = osteoid + np.maximum(rate * DAYS_AFTER_LABELS, _SMALLEST_GAP_UM)
    older = younger + rate * INTERLABEL_DAYS * (1.0 + 0.07 * _along(count, 80.0, rng))
    has_older, has_younger = rng.choice(_LABELS_OF_SITES, p=_SHARE_OF_SITES)
    has_older = has_older and deep
    if has_younger or not has_older:  # where the older label is alone, formation has ended
        found.osteoid[points] = osteoid * _tapered(count)
    if has_younger and not surface.is_cut_lengthwise(points, younger, _LABEL_UM[1]):
        found.label2[points], found.width2[points] = younger, _label_width(count, rng)
    if has_older and not surface.is_cut_lengthwise(points, older, _LABEL_UM[1]):
        found.label1[points], found.width1[points] = older, _label_width(count, rng)


def _along(count: int, wavelength_um: float, rng: np.random.Generator) -> Values:
    """Smooth noise along a line, within ± 1.5."""
    sigma = wavelength_um / STEP_UM / 4.0
    noise = ndimage.gaussian_filter1d(rng.standard_normal(count + int(8 * sigma)), sigma)
    noise = noise[int(4 * sigma) :][:count] * math.sqrt(2.0 * math.sqrt(math.pi) * sigma)
    return np.asarray(np.clip(noise, -1.5, 1.5))


def _tapered(count: int) -> Values:
    """1, and towards both ends down to 0 like a quarter of an ellipse."""
    to_end = (np.minimum(np.arange(count), np.arange(count)[::-1]) + 0.5) * STEP_UM
    inside = np.clip(to_end / _TAPER_UM, 0.0, 1.0)
    return np.asarray(np.sqrt(1.0 - (1.0 - inside) ** 2))


def _label_width(count: int, rng: np.random.Generator) -> Values:
    """Width of a label along a site: shorter than the site, and with gaps now and then."""
    width = rng.uniform(*_LABEL_UM) * (1.0 + 0.14 * _along(count, 40.0, rng))
    there = np.ones(count, np.bool_)
    first, last = (_TAPER_UM / STEP_UM + rng.uniform(0.0, 0.22, 2) * count).astype(int)
    there[:first] = there[count - last :] = False
    for _ in range(rng.poisson(0.35)):
        gap = round(rng.uniform(12.0, 30.0) / STEP_UM)
        at = rng.integers(0, max(count - gap, 1))
        there[at : at + gap] = False
    whole = ndimage.binary_opening(there, np.ones(round(_SHORTEST_LABEL_UM / STEP_UM), np.bool_))
    # Its ends are round.
    to_end = ndimage.distance_transform_edt(whole) * STEP_UM / (width / 2.0)
    return np.asarray(width * np.sqrt(1.0 - (1.0 - np.clip(to_end, 0.0, 1.0)) ** 2))
