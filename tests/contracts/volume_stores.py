"""What every store of volumes keeps."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from lotus.imaging import open_volume
from lotus.imaging.voxels import VolumeStore

SHAPE = (27, 150, 140)
VOXELS = np.random.default_rng(0).integers(1, 255, SHAPE).astype(np.uint8)
SPACING = (2.0, 0.5, 0.25)


def blocks_of(store: VolumeStore) -> list[int]:
    return [*range(0, SHAPE[0], store.depth)]


def write(store: VolumeStore, start: int) -> None:
    store.write(start, VOXELS[start : start + store.depth])


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class VolumeStoreContract:
    """The checks; a subclass says which store it is, and makes one for uint8 of this size."""

    implementation: ClassVar[type]

    def stores(self, folder: Path) -> list[VolumeStore]:
        """The store that is checked, after those that are begun and finished before it."""
        raise NotImplementedError

    def begun(self, folder: Path) -> tuple[VolumeStore, list[VolumeStore]]:
        stores = self.stores(folder)
        for store in stores:
            store.begin()
        for store in stores[:-1]:
            for start in blocks_of(store):
                write(store, start)
        return stores[-1], stores

    def test_blocks_in_any_order_are_the_volume(self, tmp_path):
        store, stores = self.begun(tmp_path)
        for start in blocks_of(store)[::-1]:
            write(store, start)
        for each in stores:
            each.finish()
        with open_volume(store.path) as volume:
            found = np.stack([*volume.planes])
            assert volume.spacing_um == SPACING
        assert found.dtype == VOXELS.dtype
        np.testing.assert_array_equal(found, VOXELS)

    def test_threads_that_write_at_the_same_time_lose_no_voxel(self, tmp_path):
        store, stores = self.begun(tmp_path)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda start: write(store, start), blocks_of(store)))
        for each in stores:
            each.finish()
        with open_volume(store.path) as volume:
            np.testing.assert_array_equal([*volume.planes], VOXELS)

    def test_the_same_to_the_byte_in_two_runs_and_from_other_processes(self, tmp_path):
        store, stores = self.begun(tmp_path / "one")
        for start in blocks_of(store):
            write(store, start)
        for each in stores:
            each.finish()
        store, _ = self.begun(tmp_path / "other")
        write(store, blocks_of(store)[-1])
        store, stores = self.begun(tmp_path / "other")
        for start in blocks_of(store)[:-1]:
            write(pickle.loads(pickle.dumps(store)), start)
        for each in stores:
            each.finish()
        assert contents(tmp_path / "one") == contents(tmp_path / "other")

    def test_nothing_appears_before_the_end_and_nothing_hidden_is_left(self, tmp_path):
        stores = self.stores(tmp_path)
        assert not any(store.is_begun for store in stores)
        store, stores = self.begun(tmp_path)
        for start in blocks_of(store):
            write(store, start)
        assert store.is_begun
        assert not store.path.exists()
        for each in stores:
            each.finish()
        assert store.path.exists()
        assert not any(each.is_begun for each in stores)
        assert {path.name for path in tmp_path.iterdir()} <= {
            *(each.path.name for each in stores),
            ".hidden",
        }
        assert not any((tmp_path / ".hidden").glob("*"))

    def test_an_older_volume_is_replaced(self, tmp_path):
        for value in (7, 9):
            store, stores = self.begun(tmp_path)
            for start in blocks_of(store):
                store.write(start, np.full_like(VOXELS[start : start + store.depth], value))
            for each in stores:
                each.finish()
        with open_volume(store.path) as volume:
            assert {int(plane.min()) for plane in volume.planes} == {9}

    @pytest.mark.parametrize(
        ("start", "block"),
        [
            (0, VOXELS[:0]),
            (SHAPE[0], VOXELS[:1]),
            (-1, VOXELS[:1]),
            (0, VOXELS[:, :-1]),
            (0, VOXELS.astype(np.uint16)),
            (0, VOXELS[0]),
        ],
    )
    def test_what_is_no_block_of_the_volume_is_refused(self, tmp_path, start, block):
        store, _ = self.begun(tmp_path)
        with pytest.raises(ValueError, match=r"27 slices.*of uint8 \(150, 140\) are expected"):
            store.write(start, block[: store.depth])
