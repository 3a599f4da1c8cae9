"""What OME-Zarr 0.4 and 0.5 say of a volume: axes, voxel size, levels, names and colours of labels.

Specification: https://ngff.openmicroscopy.org/0.4/ and /0.5/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from yaozarrs import v04, v05

from lotus.imaging.pyramid import Level
from lotus.imaging.voxels import Spacing

Version = Literal["0.4", "0.5"]
ZARR_FORMAT: dict[Version, Literal[2, 3]] = {"0.4": 2, "0.5": 3}
"""Which format of Zarr each version lies in."""
VERSIONS: dict[Version, ModuleType] = {"0.4": v04, "0.5": v05}
PALETTE = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
    *((0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
"""Okabe and Ito's colours (2008); black is left to the background."""


@dataclass(frozen=True)
class LabelClass:
    """What a value of a label map stands for.

    Attributes:
        value: The value.
        name: Of the class.
        colour: Red, green, blue and opacity, 0 to 255.
    """

    value: int
    name: str
    colour: tuple[int, int, int, int]


def label_classes(names: Sequence[str]) -> tuple[LabelClass, ...]:
    """Classes of the values 1, 2, ... in colours that are told apart with any colour vision.

    Args:
        names: Of the foreground classes.
    """
    return tuple(
        LabelClass(value, name, (*PALETTE[(value - 1) % len(PALETTE)], 255))
        for value, name in enumerate(names, start=1)
    )


def image_attributes(
    version: Version,
    name: str,
    levels: Sequence[Level],
    spacing_um: Spacing,
    *,
    is_label: bool,
    classes: Sequence[LabelClass] = (),
    source: str | None = None,
) -> dict[str, Any]:
    """The attributes of the group of an image or label map.

    Args:
        version: Of the metadata.
        name: Of the image.
        levels: Finest first; the array of each is called by its number.
        spacing_um: Size of a voxel (Z, Y, X) in µm, None where it is not known.
        is_label: Whether it is a label map.
        classes: What its values stand for.
        source: Where the image lies that it is the label map of, from its own group.
    """
    models = VERSIONS[version]
    axes = [
        models.SpaceAxis(name=axis, unit=None if size is None else "micrometer")
        for axis, size in zip("zyx", spacing_um, strict=True)
    ]
    multiscale = models.Multiscale(
        name=name,
        axes=axes,
        datasets=[
            _dataset(models, str(number), level, spacing_um, is_label=is_label)
            for number, level in enumerate(levels)
        ],
        type=None if len(levels) == 1 else "nearest" if is_label else "mean",
    )
    if not is_label:
        image = models.Image(multiscales=[multiscale])
        return _in_version(version, image.model_dump(mode="json", exclude_none=True))
    about = models.ImageLabel(source=source and models.LabelSource(image=source))
    labels = models.LabelImage(multiscales=[multiscale], image_label=about)
    content: dict[str, Any] = labels.model_dump(mode="json", exclude_none=True)
    if classes:
        # The models make 1.0 of the value 1, at which readers stumble, and leave names out.
        content["image-label"] |= {
            "colors": [{"label-value": each.value, "rgba": [*each.colour]} for each in classes],
            "properties": [{"label-value": each.value, "name": each.name} for each in classes],
        }
    return _in_version(version, content)


def labels_attributes(version: Version, names: Sequence[str]) -> dict[str, Any]:
    """The attributes of the group that lists the label maps of an image.

    Args:
        version: Of the metadata.
        names: Of the label maps.
    """
    group = VERSIONS[version].LabelsGroup(labels=list(names))
    return _in_version(version, group.model_dump(mode="json", exclude_none=True))


def _dataset(
    models: ModuleType, path: str, level: Level, spacing_um: Spacing, *, is_label: bool
) -> Any:
    """Where a level lies, its voxel size, and its place."""
    sizes = [1.0 if size is None else float(size) for size in spacing_um]
    scale = [factor * size for factor, size in zip(level.factors, sizes, strict=True)]
    steps = [models.ScaleTransformation(scale=scale)]
    if max(level.factors) > 1 and not is_label:
        # The centre of averaged voxels lies between them; of labels the first one is kept.
        shift = [(factor - 1) / 2 * size for factor, size in zip(level.factors, sizes, strict=True)]
        steps.append(models.TranslationTransformation(translation=shift))
    return models.Dataset(path=path, coordinateTransformations=steps)


def _in_version(version: Version, content: dict[str, Any]) -> dict[str, Any]:
    """Attributes as they lie in a group: those of version 0.5 under ``ome``."""
    return content if version == "0.4" else {"ome": {"version": version} | content}
