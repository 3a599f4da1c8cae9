"""Class maps as files: which there are, of which case, what their values mean, their pixel size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lotus.imaging import read_image, read_label_map, read_pixel_size
from lotus.imaging.file_names import image_stem
from lotus.measurement.histomorphometry import Conventions, Drawn, Region
from lotus.measurement.region_files import by_name, cases_of, files_in
from lotus.morphometry.interlabel import LARGEST_INTERLABEL_UM
from lotus.morphometry.section import SMALLEST_HOLE_UM2, WIDEST_CRACK_UM, measure_section
from lotus.runs.class_maps import CLASS_MAPS, ClassMap, read_class_maps

MAP_SUFFIXES = (".tif", ".tiff", ".png", ".bmp")


@dataclass(frozen=True)
class MapFile:
    """A class map.

    Attributes:
        path: Its file.
        roi: Name of the region.
        classes: Names of classes to the values of the file.
        domain: Such as ``trichrome``; empty where nobody said.
        image: What was segmented, to draw upon; None where it is not known.
        pixel_size_um: Edge of a pixel where it is known besides the file, before which it goes.
        doubts: What was uncertain when it was made, a line each.
    """

    path: Path
    roi: str
    classes: Mapping[str, int]
    domain: str = ""
    image: Path | None = None
    pixel_size_um: float | None = None
    doubts: Sequence[str] = ()


@dataclass(frozen=True)
class MapSettings:
    """How class maps are measured.

    Attributes:
        conventions: Of histomorphometry.
        pixel_size_um: Goes before what files state.
        largest_interlabel_um: Labels further apart are no double label.
        smallest_hole_um2: Smaller holes of bone are filled.
        widest_crack_um: Narrower cracks of bone are closed.
    """

    conventions: Conventions
    pixel_size_um: float | None = None
    largest_interlabel_um: float = LARGEST_INTERLABEL_UM
    smallest_hole_um2: float = SMALLEST_HOLE_UM2
    widest_crack_um: float = WIDEST_CRACK_UM


def find_maps(path: Path, classes: Mapping[str, int]) -> list[MapFile]:
    """The class maps that a path means: the file, or those of the folder.

    Args:
        path: A class map, a folder of them, or one that `lotus segment` wrote for several domains;
            also a folder of such folders, one per fold of a study.
        classes: What their values stand for; goes before what the table of such a folder says.

    Raises:
        FileNotFoundError: There is nothing.
        ValueError: No classes are said, or two maps have the same name.
    """
    if tables := [*path.glob(CLASS_MAPS), *sorted(path.glob(f"*/{CLASS_MAPS}"))]:
        read = (each for table in tables for each in read_class_maps(table.parent))
        maps = [_of_table(each, classes) for each in read]
        by_name((each.roi, each.path) for each in maps)
        return maps
    files = files_in(path, MAP_SUFFIXES, what="class map")
    if not classes:
        raise ValueError(
            f"{path} does not say what its values stand for; give such as "
            "--classes mineralised=1 osteoid=2 label1=3 label2=4"
        )
    named = by_name((image_stem(each), each) for each in files)
    return [MapFile(each, roi, classes) for roi, each in named.items()]


def _of_table(each: ClassMap, classes: Mapping[str, int]) -> MapFile:
    doubts = []
    if each.uncertain:
        doubts.append(f"uncertain that it is {each.domain} (certainty {each.certainty:.2f})")
    elif each.uncertain_tiles:
        doubts.append(f"{each.uncertain_tiles} of {each.tiles} tiles may not be {each.domain}")
    return MapFile(
        path=each.labels,
        roi=image_stem(each.image),
        classes=classes or each.classes,
        domain=each.domain,
        image=each.image,
        doubts=doubts,
    )


def measured_regions(
    maps: list[MapFile], settings: MapSettings, cases: Mapping[str, str] | None
) -> Iterator[Region]:
    """Measure class maps, one after another.

    Args:
        maps: Of :func:`find_maps`.
        settings: How.
        cases: Of each region; None: each is a case of its own.

    Raises:
        ValueError: A map that cannot be measured so; the message begins with its file.
    """
    case = cases_of({each.roi: each.path for each in maps}, cases)
    for each in maps:
        yield _measured(each, settings, case[each.roi])


def _measured(each: MapFile, settings: MapSettings, case: str) -> Region:
    class_map = read_label_map(each.path)
    given = settings.pixel_size_um
    spacing = _spacing(each.path, each.pixel_size_um if given is None else given)
    try:
        section = measure_section(
            class_map,
            each.classes,
            spacing,
            transition=settings.conventions.transition,
            largest_interlabel_um=settings.largest_interlabel_um,
            smallest_hole_um2=settings.smallest_hole_um2,
            widest_crack_um=settings.widest_crack_um,
        )
    except ValueError as error:
        raise ValueError(f"{each.path}: {error}") from error
    return Region(
        roi=each.roi,
        case=case,
        primary=section.primary,
        domain=each.domain,
        fill_width=section.fill_width,
        pixel_size_um=spacing,
        drawn=Drawn(section, _picture(each, class_map), spacing),
        doubts=[*each.doubts, *section.doubts],
    )


def _picture(each: MapFile, class_map: NDArray[np.integer]) -> NDArray[np.generic]:
    """What was segmented where it is there and as large as the map, else the map."""
    if each.image is None or not each.image.is_file():
        return class_map
    image = read_image(each.image).array
    shown = image if image.dtype == np.uint8 else _stretched(image)
    if shown.shape[:2] != class_map.shape:
        return class_map
    return np.repeat(shown[..., None], 3, axis=2) if shown.ndim == 2 else shown


def _stretched(image: NDArray[np.generic]) -> NDArray[np.float64]:
    """An image from 0 to 1 between its darkest and brightest percent."""
    low, high = np.nanpercentile(image.astype(np.float64), (1, 99))
    scaled = (image.astype(np.float64) - low) / max(high - low, 1e-9)
    return np.asarray(np.clip(scaled, 0.0, 1.0))


def _spacing(path: Path, given: float | None) -> tuple[float, float]:
    if given is not None:
        if not given > 0:
            raise ValueError(f"the pixel size is {given:g} µm; a positive number is expected")
        return given, given
    stated = read_pixel_size(path)
    if stated is None:
        raise ValueError(
            f"{path} states no pixel size, and histomorphometry is in µm; give --pixel-size-um"
        )
    return stated.spacing_um
