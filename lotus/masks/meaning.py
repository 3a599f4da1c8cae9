"""What the masks of a folder mean, or what has to be said before anyone can know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lotus.masks.facts import (
    FULL_RANGE,
    MOST_CLASSES,
    SEVERAL_PLACES,
    FolderFacts,
    MaskFacts,
)
from lotus.masks.values import MaskKind, MaskValues

MOSTLY, DOUBTFUL = 0.5, 0.2
"""If a larger share of values is in several places or enclosed by others, then they are no numbers
of objects, or that is in doubt. Of 11,560 numbers of real nuclei four are.
"""
NEARLY_ALL = 0.9
MOST_SHOWN = 5


@dataclass(frozen=True)
class Meaning:
    """What the masks of a folder mean.

    Attributes:
        kind: Of all of them.
        text: One line that says it.
        warnings: A line for each thing that may be meant otherwise.
    """

    kind: MaskKind
    text: str
    warnings: tuple[str, ...]


def conclude(
    masks: Mapping[Path, MaskFacts],
    values: MaskValues,
    kind: MaskKind | None = None,
    *,
    option: str = "--mask-values",
    are_predicted: bool = False,
) -> Meaning:
    """Say what masks mean from what they look like, all of them together.

    Numbers of objects are in one place each. Classes are few, are numbered 1, 2, … and are in
    several places. A single value besides 0 is object. Nothing is in doubt where somebody said
    which values are background and object.

    Args:
        masks: What each file looks like in the usual values, at least one file.
        values: What the files' own values stand for, as far as somebody said.
        kind: The kind, if somebody said it.
        option: How ``values`` are said, for messages.
        are_predicted: A network may find objects everywhere, or nowhere.

    Returns:
        The meaning.

    Raises:
        ValueError: They can be read in two ways; the line tells which, and how to say it.

    Example:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from lotus.masks import MaskValues, conclude, mask_facts
        >>> usual = MaskValues()
        >>> facts = mask_facts(usual.apply(np.array([[255, 0, 0, 255]])))
        >>> conclude({Path("a.png"): facts}, usual).text
        'binary: 0 is background, 255 object (50.0 % of the pixels)'
    """
    folder = FolderFacts(masks)
    kind = kind or values.kind
    if kind is not None:
        values.check_kind(kind)
    if values.are_said:
        kind = kind or _guess(folder)
        return Meaning(kind, _text(folder, kind, values), ())
    for doubt in _doubts(folder, kind, option, are_predicted=are_predicted):
        raise ValueError(doubt)
    kind = kind or _guess(folder)
    amounts = () if are_predicted else _amounts(folder, kind, option)
    return Meaning(kind, _text(folder, kind, values), (*_warnings(folder, kind, option), *amounts))


def _guess(folder: FolderFacts) -> MaskKind:
    """The kind of masks that nobody said the kind of."""
    if not folder.several:
        return "binary"
    return "instances" if folder.strange_share <= DOUBTFUL else "semantic"


def _doubts(
    folder: FolderFacts, kind: MaskKind | None, option: str, *, are_predicted: bool
) -> Iterator[str]:
    """What has to be said first."""
    if bare := folder.without_background:
        everywhere = folder.objects == folder.pixels
        may_be_full = kind == "instances" or (kind == "binary" and are_predicted)
        if kind != "semantic" and (everywhere or not may_be_full):
            yield _no_background(folder, bare, option)
    yield from _values_apart(folder, kind, option)
    if kind is None and folder.several:
        yield from _open_kinds(folder, option)
    if kind == "instances" and folder.strange_share > MOSTLY:
        yield from _no_numbers(folder, option)


def _no_background(folder: FolderFacts, path: Path, option: str) -> str:
    values = folder.masks[path].values
    return (
        f"{path} does not hold 0, the background; found {_listed(values)}: say which value it is, "
        f"such as {option} background={values[0]} object={values[1]}"
    )


def _values_apart(folder: FolderFacts, kind: MaskKind | None, option: str) -> Iterator[str]:
    """A highest value far from the others: to be ignored, or white with a stray grey."""
    for path, mask in folder.several.items():
        *_, below, highest = mask.values
        is_number = kind == "instances" and mask.highest_places == 1
        if highest in FULL_RANGE and below <= highest // 4 and not is_number:
            shades = f", {option} binarise-at={_middle(mask)} if these are shades of one object"
            yield (
                f"{path} holds {_listed(mask.values)} besides 0: say {option} ignore={highest} if "
                f"nothing is known where it is {highest}"
                f"{'' if kind in ('semantic', 'instances') else shades}, or {option} background=0 "
                f"if {highest} is no other than the rest"
            )


def _open_kinds(folder: FolderFacts, option: str) -> Iterator[str]:
    """Values that are neither numbers of objects nor classes."""
    path, mask = next(iter(folder.several.items()))
    others = len(folder.masks) - len(folder.several)
    if folder.strange_share <= DOUBTFUL:
        if folder.outlier is not None:
            one = folder.masks[folder.outlier]
            yield (
                f"{folder.outlier} holds one value besides 0, {one.values[0]} in "
                f"{_count(one.places, 'place')}, and {path} the numbers of {mask.n_values} "
                "objects; the masks of a folder are of one kind: say --mask-kind, or sort them"
            )
    elif not folder.look_like_classes:
        holding = f", {others} other masks at most one" if others else ""
        yield (
            f"{path} holds {_counted(mask)} besides 0 in {mask.places} places{holding}: neither "
            f"numbers of objects nor classes 1, 2, …; say {option} binarise-at={_middle(mask)} if "
            "these are shades of one object, or --mask-kind instances or semantic"
        )


def _no_numbers(folder: FolderFacts, option: str) -> Iterator[str]:
    """Masks that are said to hold numbers of objects, and do not."""
    path, mask = max(folder.masks.items(), key=lambda item: item[1].places)
    if folder.several:
        yield (
            f"{folder.place}: {folder.strange} of {folder.n_values} values are in several places "
            f"or enclosed by others, so they number no objects ({path.name}: {mask.n_values} in "
            f"{mask.places} places); these are masks of kind semantic, or shades of one object "
            f"({option} binarise-at={_middle(mask)}); {option} background=0 takes them as numbers"
        )
    elif mask.places >= SEVERAL_PLACES or mask.values[0] in FULL_RANGE:
        yield (
            f"{folder.place}: every mask holds one value besides 0, {path.name} has it in "
            f"{mask.places} places: these are masks of kind binary, which number no objects; "
            f"{option} background=0 takes each for one object"
        )


def _warnings(folder: FolderFacts, kind: MaskKind, option: str) -> Iterator[str]:
    """What looks otherwise than the kind that was said."""
    if kind == "instances" and not folder.several and folder.strange:
        yield (
            f"{folder.place}: every mask holds one value besides 0, {folder.strange} of them in "
            "several places: each is taken for one object; masks of kind binary would be separated"
        )
    if kind == "instances" and folder.several:
        if folder.strange_share > DOUBTFUL:
            yield (
                f"{folder.place}: {folder.strange} of {folder.n_values} numbers of objects are in "
                "several places or enclosed by others"
            )
        if folder.outlier is not None:
            yield f"{folder.outlier} holds one value besides 0, where others number objects"
    if kind == "binary" and folder.several and not folder.are_few:
        path, mask = next(iter(folder.several.items()))
        if folder.strange_share > DOUBTFUL or folder.outlier is not None:
            yield (
                f"{path} holds {_counted(mask)} besides 0: all are object, soft edges too; "
                f"{option} binarise-at={_middle(mask)} takes half of an edge"
            )
    if kind == "semantic" and folder.values[-1:] > [MOST_CLASSES]:
        yield (
            f"{folder.place}: classes are numbered 1, 2, …; found {_listed(folder.values)}: give "
            f"each its name, {option} background=0 NAME={folder.values[0]} …"
        )
    if kind != "binary" and folder.without_background is not None:
        yield _no_background(folder, folder.without_background, option)


def _amounts(folder: FolderFacts, kind: MaskKind, option: str) -> Iterator[str]:
    """Masks with hardly any background, or without objects."""
    if not folder.objects:
        yield f"{folder.place}: no mask holds an object, every value is 0"
    elif kind != "semantic" and folder.objects > NEARLY_ALL * folder.pixels:
        yield (
            f"{folder.place}: {100 * folder.objects / folder.pixels:.1f} % of the pixels are "
            f"object; if objects are 0 and the background {folder.values[-1]}, say {option} "
            f"background={folder.values[-1]} object=0"
        )


def _text(folder: FolderFacts, kind: MaskKind, values: MaskValues) -> str:
    """The meaning in one line."""
    background = values.background or 0
    if values.binarise_at is not None:
        text = f"binary: object from {values.binarise_at:g} on"
    elif kind == "instances":
        text = f"instances: {background} is background, {_count(folder.n_values, 'object')}"
    elif values.objects:
        named = ", ".join(f"{value} {name}" for name, value in values.objects)
        text = f"{kind}: {background} is background, {named}"
    elif kind == "semantic":
        word = "class" if len(folder.values) == 1 else "classes"
        text = f"semantic: {background} is background, {word} {_listed(folder.values)}"
    else:
        few = not background and 0 < len(folder.values) <= MOST_SHOWN
        objects = _listed(folder.values) if few else "the rest"
        text = f"binary: {background} is background, {objects} object"
    share = folder.objects / max(folder.pixels, 1)
    text += f" ({100 * share:.1f} % of the pixels)"
    if values.ignore is None:
        return text
    ignored = folder.ignored / (folder.pixels + folder.ignored)
    return f"{text}; {values.ignore} is ignored ({100 * ignored:.1f} %)"


def _middle(mask: MaskFacts) -> int:
    """Half way to the highest value."""
    return (mask.values[-1] + 1) // 2


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _counted(mask: MaskFacts) -> str:
    """The values of a mask where they are few, else how many."""
    if mask.n_values <= len(mask.values):
        return _listed(mask.values)
    return f"{mask.n_values} values up to {mask.values[-1]}"


def _listed(values: Sequence[int]) -> str:
    """``1, 2 and 3``, of many values the first and the last."""
    if not values:
        return "none"
    shown = [str(value) for value in values]
    if len(shown) > MOST_SHOWN:
        return f"{', '.join(shown[:3])}, … {shown[-1]}"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
