"""Which predicted file belongs to which true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lotus.imaging.file_names import (
    IMAGE_SUFFIXES,
    LABELS_ENDING,
    PROBABILITY_ENDING,
    image_stem,
    images_in,
)


@dataclass(frozen=True)
class Pair:
    """A predicted and a true label file of one image."""

    name: str
    prediction: Path
    target: Path


def pair_files(predictions: Path, targets: Path) -> list[Pair]:
    """Pair the label files of two folders by stem, sorted by name.

    Label maps of `lotus segment` go by the name of their image, ``a`` for ``a_labels.tif``, and its
    probabilities beside them are left out.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If a folder holds no label file or two of one stem, or a file has no partner.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from lotus.evaluation.pairs import pair_files
        >>> with TemporaryDirectory() as root:
        ...     predictions, targets = Path(root, "predictions"), Path(root, "targets")
        ...     for path in (predictions / "a.png", targets / "a.ome.tif"):
        ...         path.parent.mkdir()
        ...         path.touch()
        ...     [(pair.name, pair.target.name) for pair in pair_files(predictions, targets)]
        [('a', 'a.ome.tif')]
    """
    predicted, true = _label_files(predictions), _label_files(targets)
    predicted, true = _by_image(predicted, true), _by_image(true, predicted)
    unpaired = [
        f"{files[name]} has no file of that name in {other}"
        for files, partners, other in ((predicted, true, targets), (true, predicted, predictions))
        for name in sorted(files.keys() - partners.keys())
    ]
    if unpaired:
        more = f" (and {len(unpaired) - 1} more files without a partner)" if unpaired[1:] else ""
        raise ValueError(unpaired[0] + more)
    return [Pair(name, predicted[name], true[name]) for name in sorted(true)]


def _label_files(folder: Path) -> dict[str, Path]:
    """Label files of a folder by stem."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give one with masks or label maps")
    files: dict[str, Path] = {}
    for path in filter(Path.is_file, images_in(folder)):
        name = image_stem(path)
        if name in files:
            raise ValueError(f"{files[name]} and {path} are both called {name}; keep one of them")
        files[name] = path
    if not files:
        raise ValueError(f"{folder} holds no label file; expected {', '.join(IMAGE_SUFFIXES)}")
    segmented = {name.removesuffix(LABELS_ENDING) for name in files if name.endswith(LABELS_ENDING)}
    probabilities = {f"{name}{PROBABILITY_ENDING}" for name in segmented}
    return {name: path for name, path in files.items() if name not in probabilities}


def _by_image(files: Mapping[str, Path], others: Mapping[str, Path]) -> dict[str, Path]:
    """The files by the names of their images, where those are the names in the other folder."""

    def image(name: str) -> str:
        bare = name.removesuffix(LABELS_ENDING)
        return bare if bare in others and bare not in files else name

    return {image(name): path for name, path in files.items()}
