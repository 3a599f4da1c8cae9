"""What a user knows better than the file names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from data_modules.manifest import Record
from lotus.masks import USUAL_VALUES, MaskKind, MaskValues


@dataclass(frozen=True)
class Overrides:
    """Values that replace what an adapter found.

    Attributes:
        modality: Modality of all images.
        patient_pattern: Regular expression searched in the image's path relative to the data
            set; its first group (or the whole match) is the patient.
        pixel_size_um: Pixel size of all images in µm.
        mask_kind: ``instances``, ``semantic`` or ``binary``.
        mask_values: What the values of all masks stand for.
        channel: Number of the channel to take of every image, from 0; None: all of a colour image.
        roles: YAML file that says by the names of drawings of which class they are; None: of the
            one whose name they have.
        line_width_px: Width of drawn lines in pixels; None: lines cover none.
    """

    modality: str | None = None
    patient_pattern: str | None = None
    pixel_size_um: float | None = None
    mask_kind: MaskKind | None = None
    mask_values: MaskValues = USUAL_VALUES
    channel: int | None = None
    roles: Path | None = None
    line_width_px: float | None = None

    def apply(self, record: Record, root: Path) -> Record:
        """The record with these values.

        Args:
            record: What the adapter found.
            root: Folder of the data set.

        Returns:
            The changed record.

        Raises:
            ValueError: If the pattern is not a regular expression or does not match.
        """
        if self.modality is not None:
            record = replace(record, modality=self.modality)
        if self.pixel_size_um is not None:
            record = replace(record, pixel_size_um=self.pixel_size_um)
        if self.mask_kind is not None:
            record = replace(record, mask_kind=self.mask_kind)
        if self.mask_values != USUAL_VALUES:
            record = replace(record, mask_values=self.mask_values)
        if self.patient_pattern is not None:
            patient = _match(self.patient_pattern, _relative_to(record.image, root))
            record = replace(record, patient=patient)
        return record


def require_folder(path: Path, expected: str) -> Path:
    """A folder that must be there.

    Args:
        path: The folder.
        expected: The layout that was looked for, for the error message.

    Returns:
        The folder, as an absolute path; links stay links, so that what lies in it still does.

    Raises:
        FileNotFoundError: If it is not a folder.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; expected {expected}")
    return path.absolute()


def _match(pattern: str, text: str) -> str:
    try:
        found = re.search(pattern, text)
    except re.error as error:
        raise ValueError(f"patient pattern '{pattern}' is not valid: {error}") from error
    if found is None:
        raise ValueError(f"patient pattern '{pattern}' does not match '{text}'")
    patient = found.group(1) if found.re.groups else found.group(0)
    if not patient:
        raise ValueError(f"patient pattern '{pattern}' finds an empty patient in '{text}'")
    return str(patient)


def _relative_to(image: Path, root: Path) -> str:
    root = Path(root).absolute()
    return image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
