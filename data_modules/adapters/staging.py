"""What is common to all adapters: nothing is written until everything has been checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from data_modules.adapters.overrides import Overrides
from data_modules.manifest import ManifestError, Record, read_manifest, write_manifest
from data_modules.mask_meaning import look_at_records
from lotus.atomic import hidden_folder
from lotus.imaging.mask_files import look_at_mask
from lotus.imaging.raster import check_usable, read_image


@dataclass(frozen=True)
class Staged:
    """Files that wait for their place.

    Attributes:
        folder: Where converted files are written to; hidden, inside the output.
        output: Where they go, under the same names.
    """

    folder: Path
    output: Path

    def final(self, path: Path) -> Path:
        """The place of a file once it has gone to the output; of others their own."""
        if not path.is_relative_to(self.folder):
            return path
        return self.output.resolve() / path.relative_to(self.folder)

    def visible(self, line: str) -> str:
        """A message with the places that files are to go to."""
        return line.replace(str(self.folder), str(self.output))

    def publish(self) -> None:
        """Move all files to the output; those of an earlier time are replaced."""
        for path in sorted(self.folder.rglob("*")):
            target = self.final(path)
            if path.is_dir() and not path.is_symlink():
                target.mkdir(exist_ok=True)
            else:
                path.replace(target)


@contextmanager
def staging(output: Path) -> Iterator[Staged]:
    """Yield where an adapter writes converted files; ``finish`` publishes them.

    Args:
        output: Folder for the manifest; made if it is missing, and removed again if the body ends
            with an error.

    Raises:
        ValueError: If it is a file.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file; the output is a folder")
    missing = [folder for folder in (output, *output.parents) if not folder.exists()]
    output.mkdir(parents=True, exist_ok=True)
    try:
        with hidden_folder(output.resolve(), prefix=".prepare-") as folder:
            yield Staged(folder, output)
    except BaseException:
        with suppress(OSError):  # somebody else has put something there
            for made in missing:
                made.rmdir()
        raise


def finish(
    records: Mapping[str, Sequence[Record]],
    root: Path,
    staged: Staged,
    overrides: Overrides,
    expected: str,
) -> Path:
    """Check images and masks, then publish converted files and write the manifests.

    Args:
        records: What the adapter found, by the name of the manifest.
        root: Folder of the data set.
        staged: Where converted files are, and where they go.
        overrides: What the user knows better.
        expected: The layout that was looked for, for the error message.

    Returns:
        Path of the first manifest.

    Raises:
        FileNotFoundError: If nothing was found.
        ManifestError: With everything that is wrong with the data set; nothing is written then.
        ValueError: Its masks can be read in two ways, likewise.
    """
    if not all(records.values()):
        raise FileNotFoundError(f"{root}: found no image; expected {expected}")
    changed = {
        name: [_with_overrides(record, overrides, root, staged) for record in found]
        for name, found in records.items()
    }
    _check(changed, staged)
    staged.publish()
    for name, found in changed.items():
        write_manifest(staged.output / name, [_published(record, staged) for record in found])
    return staged.output / next(iter(changed))


def _with_overrides(record: Record, overrides: Overrides, root: Path, staged: Staged) -> Record:
    """The record with what the user knows better, which may be in the final path of its image."""
    known = overrides.apply(_published(record, staged), root)
    return replace(known, image=record.image, mask=record.mask)


def _check(records: Mapping[str, Sequence[Record]], staged: Staged) -> None:
    """Read a draft of every manifest, and all files once."""
    checked: set[Path] = set()
    for name, found in records.items():
        draft = staged.folder / name
        write_manifest(draft, found)
        try:
            read_manifest(draft)
            problems = list(_unreadable(found, checked))
        except ManifestError as error:
            problems = error.problems
        draft.unlink()
        if problems:
            visible = [staged.visible(line) for line in problems]
            raise ManifestError(staged.output / name, visible)
        try:
            look_at_records(found)
        except ValueError as error:
            raise ValueError(staged.visible(str(error))) from error


def _unreadable(records: Sequence[Record], checked: set[Path]) -> Iterator[str]:
    """What a training would find wrong with the pixels, as lines like those of the manifest."""
    progress = tqdm(records, "checking images", delay=2.0, leave=False, disable=None)
    for number, record in enumerate(progress, start=2):
        files = {"image": record.image, "mask": record.mask}
        for column, path in files.items():
            if path is None or path in checked:
                continue
            checked.add(path)
            try:
                if column == "image":
                    check_usable(read_image(path).array, path)
                else:
                    look_at_mask(path, record.mask_values)
            except (ValueError, OSError) as error:
                yield f"row {number}, column {column}: {error}"


def _published(record: Record, staged: Staged) -> Record:
    mask = None if record.mask is None else staged.final(record.mask)
    return replace(record, image=staged.final(record.image), mask=mask)
