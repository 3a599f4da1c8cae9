"""Tiling of ROI images of 2048x2048 pixels beside the decoding of their files.

``python -m benchmarks.tiling``: seconds of one process for a number of ROIs of each kind of file,
as `lotus tile` goes through them, and how much of it is the reading alone.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from data_modules.manifest import Record
from data_modules.tiles import tiles_of
from lotus.imaging.raster import read_image

SIDE = 2048
FILES = 4
"""Different files of each kind; they are read in turn."""
SUFFIXES = {
    "grey 16-bit TIFF": ".tif",
    "grey 16-bit TIFF, deflate": ".tif",
    "RGB TIFF": ".tif",
    "RGB PNG": ".png",
    "RGB JPEG": ".jpg",
}


def fields(number: int, side: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """A fluorescent and a stained field of trabeculae in an empty space that fills half of it."""
    random = np.random.default_rng(number)
    coarse = gaussian_filter(random.random((side // 8, side // 8)), 6.0)
    bone = np.kron(coarse > np.median(coarse), np.ones((8, 8), bool))
    grain = random.normal(0.0, 1.0, bone.shape)
    dark = np.where(bone, 900, 120) + 25 * grain
    colours = np.array([[248, 247, 249], [70, 110, 170]])[bone.astype(int)] + 3 * grain[..., None]
    return dark.astype(np.uint16), colours.clip(0, 255).astype(np.uint8)


def write_files(folder: Path, side: int) -> dict[str, list[Path]]:
    """Files of each kind: grey 16 bit and RGB, plain and compressed."""
    files: dict[str, list[Path]] = {}
    for number in range(FILES):
        dark, colours = fields(number, side)
        names = {
            kind: folder / f"{place}_{number}{suffix}"
            for place, (kind, suffix) in enumerate(SUFFIXES.items())
        }
        tifffile.imwrite(names["grey 16-bit TIFF"], dark)
        tifffile.imwrite(names["grey 16-bit TIFF, deflate"], dark, compression="zlib")
        tifffile.imwrite(names["RGB TIFF"], colours, photometric="rgb")
        Image.fromarray(colours).save(names["RGB PNG"])
        Image.fromarray(colours).save(names["RGB JPEG"], quality=90)
        for kind, path in names.items():
            files.setdefault(kind, []).append(path)
    return files


def seconds(function: Callable[[Path], object], paths: list[Path], count: int) -> float:
    """Processor time of going through so many files."""
    begun = time.process_time()
    for number in range(count):
        function(paths[number % len(paths)])
    return time.process_time() - begun


def tile(path: Path) -> int:
    """What `lotus tile` does with one image."""
    return len(tiles_of(Record(path, None, "semantic", "roi", "p", "g", None)))


def main() -> None:
    """Print the times of each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rois", type=int, default=500, help="of each kind (%(default)s)")
    parser.add_argument("--side", type=int, default=SIDE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind, paths in write_files(Path(folder), arguments.side).items():
            tile(paths[0])
            # In turns, so that other work on the machine slows down both.
            turns = [
                (seconds(read_image, paths, FILES), seconds(tile, paths, FILES))
                for _ in range(arguments.rois // FILES)
            ]
            reading, whole = np.sum(turns, axis=0)
            print(
                f"{kind}: {whole:.1f} s for {arguments.rois // FILES * FILES} ROIs, of that "
                f"{reading:.1f} s reading ({reading / whole:.0%}); {tile(paths[0])} tiles of the "
                "first"
            )


if __name__ == "__main__":
    main()
