"""What every score is called, in which unit it is given, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "count", "px", "µm", ""]

STAGES = ("train_", "val_", "test_")
NOT_SCORES = ("name", "patient", "group", "fold", "undefined")
"""Columns of a table of scores that say of what the scores are."""
HEADLINES = ("dice", "aji", "pq", "accuracy", "balanced_accuracy", "auroc", "patch_dice")
"""Scores that sum up a result, the most telling one first."""
DISTANCES: tuple[str, ...] = ("hd95_um", "hd95")
"""The distance that goes with them, the first that is known."""
_LOWER = re.compile(r"loss$|(^|_)(loss|ece|hd\d*)(_|$)")


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score as tables and figures show it.

    Attributes:
        name: Its column in a table, without the stage.
        label: What a reader calls it.
        unit: ``share`` of one, which tables of papers give in percent, ``count``, ``px`` or ``µm``;
            empty where it is not known.
        decimals: In that unit.
        meaning: What it measures, and which value is best.
        lower_is_better: Whether the best value is the lowest.
        paper_label: What tables of papers call it, where that is another name.
    """

    name: str
    label: str
    unit: Unit = ""
    decimals: int = 3
    meaning: str = ""
    lower_is_better: bool = False
    paper_label: str = ""

    @property
    def is_distance(self) -> bool:
        """Whether it is a length."""
        return self.unit in ("px", "µm")

    @property
    def heading(self) -> str:
        """Label and unit, as ``HD [px]``; shares are given as they are."""
        return f"{self.label} [{self.unit}]" if self.is_distance else self.label

    @property
    def paper_heading(self) -> str:
        """Label and unit in the table of a paper, as ``HD (px)`` or ``DSC (%)``."""
        label = self.paper_label or self.label
        if self.unit == "share":
            return f"{label} (%)"
        return f"{label} ({self.unit})" if self.is_distance else label

    @property
    def paper_scale(self) -> float:
        """From the score's own unit to that of the table of a paper: 100 for shares."""
        return 100.0 if self.unit == "share" else 1.0


def _share(
    name: str, label: str, meaning: str, *, paper_label: str = "", lower_is_better: bool = False
) -> Score:
    return Score(
        name=name,
        label=label,
        unit="share",
        meaning=meaning,
        lower_is_better=lower_is_better,
        paper_label=paper_label,
    )


def _distance(name: str, label: str, unit: Literal["px", "µm"], meaning: str) -> Score:
    return Score(
        name=name, label=label, unit=unit, decimals=2, meaning=meaning, lower_is_better=True
    )


_HAUSDORFF = "Hausdorff distance, 0 is best"
_HAUSDORFF_95 = "95th percentile Hausdorff distance, 0 is best"
_ALL = (
    Score(name="n_true", label="true objects", unit="count", decimals=1, meaning="per image"),
    Score(name="n_pred", label="predicted objects", unit="count", decimals=1, meaning="per image"),
    _share("dice", "Dice", "overlap of the foregrounds, 1 is best", paper_label="DSC"),
    _share("iou", "IoU", "intersection over union of the foregrounds, 1 is best"),
    _share("aji", "AJI", "aggregated Jaccard index of the objects, 1 is best"),
    _share("aji_plus", "AJI+", "AJI with objects matched one to one, 1 is best"),
    _share("pq", "PQ", "panoptic quality, SQ × DQ, 1 is best"),
    _share("sq", "SQ", "mean IoU of the matched objects, 1 is best"),
    _share("dq", "DQ", "F1 of the detection at IoU > 0.5, 1 is best"),
    _share(
        "precision",
        "precision",
        "share of what is predicted that is true",
    ),
    _share("recall", "recall", "share of what is true that is found"),
    _share("f1", "F1", "harmonic mean of precision and recall"),
    _distance("hd", "HD", "px", _HAUSDORFF),
    _distance("hd95", "HD95", "px", _HAUSDORFF_95),
    _distance("hd_um", "HD", "µm", _HAUSDORFF),
    _distance("hd95_um", "HD95", "µm", _HAUSDORFF_95),
    _share("accuracy", "accuracy", "share of the cases that are classified rightly"),
    _share("balanced_accuracy", "balanced accuracy", "mean over the classes of their accuracy"),
    _share("auroc", "AUROC", "area under the ROC curve, 1 is best and 0.5 is chance"),
    _share("ece", "ECE", "expected calibration error, 0 is best", lower_is_better=True),
    _share("pointing", "pointing game", "share of maps whose peak lies on a lacuna"),
    _share("energy", "energy in lacunae", "share of the map that lies on lacunae"),
    _share(
        "deletion",
        "deletion",
        "area under the probability while the pixels of the map are removed",
        lower_is_better=True,
    ),
    _share("insertion", "insertion", "the same while they are put into a blurred patch"),
    Score(
        name="road",
        label="ROAD",
        decimals=3,
        meaning="probability without the lowest pixels minus without the highest, 0 is chance",
    ),
    _share("patch_dice", "patch Dice", "of classes read off frozen patch tokens, 1 is best"),
    _share("domain_knn", "domain, nearest", "share of tiles told by their nearest embeddings"),
    _share("domain_linear", "domain, linear", "share of tiles told by a linear map of embeddings"),
    Score(name="rank_me", label="RankMe", decimals=1, meaning="effective rank of embeddings"),
)
SCORES = {score.name: score for score in _ALL}
"""Every score that is known, by its name, in the order of tables."""


def score_of(name: str) -> Score:
    """What is known of a score.

    Args:
        name: A column of a table of scores, or one of curves with its stage, ``val_dice``.

    Returns:
        The entry of the catalogue. A score that is not in it goes by its name, and less of it is
        better if it is a loss (``..._loss``), a calibration error (``ece``) or a Hausdorff distance
        (``hd...``).

    Examples:
        >>> score_of("val_dice").label
        'Dice'
        >>> score_of("test_loss").lower_is_better
        True
    """
    stage = next((stage for stage in STAGES if name.startswith(stage)), "")
    plain = name.removeprefix(stage)
    unknown = Score(name=plain, label=plain, lower_is_better=bool(_LOWER.search(plain)))
    return SCORES.get(plain, unknown)


def score_names(columns: Iterable[Hashable]) -> list[str]:
    """The columns of a table that are scores.

    Args:
        columns: All of them.

    Returns:
        Those in the catalogue, in its order, then the others in their own.
    """
    found = [str(column) for column in columns if column not in NOT_SCORES]
    known = [name for name in SCORES if name in found]
    return known + [name for name in found if name not in SCORES]


def counts(columns: Iterable[Hashable]) -> list[str]:
    """The columns of a table that count objects."""
    return [name for name in score_names(columns) if score_of(name).unit == "count"]


def headline_distance(columns: Iterable[Hashable]) -> list[str]:
    """The distance that sums up a table, in µm where it is known so; empty where there is none."""
    names = score_names(columns)
    return [name for name in DISTANCES if name in names][:1]


def headlines(columns: Iterable[Hashable]) -> list[str]:
    """The few scores that sum up a table.

    Args:
        columns: All of its columns.

    Returns:
        Those of `HEADLINES`; where there is none, the first three scores that count nothing.
    """
    names = score_names(columns)
    found = [name for name in HEADLINES if name in names]
    return found or [name for name in names if score_of(name).unit != "count"][:3]
