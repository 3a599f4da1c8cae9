"""Slabs of neighbouring slices, with the mask of the middle one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_warn
from monai.transforms import Compose, Transform
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from data_modules.blocks import Block, SliceSplit, divide_slices, select_blocks
from data_modules.manifest import SPLIT_NAMES, Record
from data_modules.patient_data import PatientDataModule, Use
from data_modules.sample import SlabSample
from data_modules.sampler import SeededSampler
from data_modules.slab_dataset import SlabDataset, Slabs, WholeSliceDataset, slices_in_turn
from data_modules.slab_source import SlabSource
from data_modules.splits import Splits, load_splits, write_splits
from lotus.transforms import IntensityRange, PercentileRange

TOLERANCE = 0.01
"""Share by which voxel sizes may differ before it is said."""


class SlabDataModule(PatientDataModule[SlabSource]):
    """Batches of slabs of the volumes of one modality.

    A training sample is a crop of T neighbouring slices with the mask of the middle one (or of the
    D middle ones); validation, test and prediction take whole slices, with all the neighbours that
    windows need. Beyond an end of the volume its last slice is repeated. Files are read window by
    window, and never as a whole.

    Slices of one volume are divided along z (:func:`data_modules.blocks.divide_slices`). A split
    file, such as one of a cross-validation, may name whole patients instead.

    Args:
        manifest: The manifest; its rows of the modality are volumes, or slices of one.
        modality: Which of its modalities.
        class_names: Foreground classes of the masks, in the order of their values from 1.
        merge: Classes that count as another one, such as ``{shade_off: bone}``.
        in_channels: Channels C of the network; grey values are repeated.
        slices: T, the slices of a slab.
        output_slices: D, how many of them have a mask: 1 for networks that segment the middle
            slice, T for those that segment all.
        preprocessing: From grey values to [0, 1], with limits that hold all over a volume; None:
            ``PercentileRange()``.
        augmentation: MONAI dictionary transforms over ``image`` (T, Y, X) and ``mask`` (D, Y, X) of
            training crops.
        patch_size: Edge of training crops in pixels; smaller slices are mirrored at their borders.
        centred_share: Share of the training crops that are centred on a voxel of a class that is
            drawn among those of their slice, in [0, 1], so that thin and rare classes are seen from
            the first step on; the others lie anywhere.
        batch_size: Training crops per batch and process.
        samples_per_epoch: Training crops per epoch; None: as many as cover every training slice
            once.
        training_slices: Use only this many labelled training slices, from as many volumes as
            possible. Smaller choices are part of larger ones.
        split: How slices that no row assigns are divided: ``blocks`` takes the last ones of each
            volume for validation; ``random`` draws them one by one, as the paper does, so that
            validation slices have training slices as neighbours and scores look better than they
            are.
        validation_share: Of those slices.
        gap: Slices left out between two splits of a volume; None: T.
        num_workers: Processes that load data; 0 loads in the training process.
        splits: Split file. If it exists it is authoritative and must fit the manifest;
            otherwise the split that is made is written there.
        seed: Decides the split, the choice of slices, the order, the crops and the augmentation.

    Raises:
        ValueError: Slabs whose middle is not defined, a class to merge that there is not, or a
            share out of range.
    """

    def __init__(
        self,
        manifest: Path,
        modality: str,
        *,
        class_names: Sequence[str] = ("lcn", "shade_off", "bone"),
        merge: dict[str, str] | None = None,
        in_channels: int = 1,
        slices: int = 3,
        output_slices: int = 1,
        preprocessing: IntensityRange | None = None,
        augmentation: list[Transform] | None = None,
        patch_size: int = 64,
        centred_share: float = 0.0,
        batch_size: int = 32,
        samples_per_epoch: int | None = None,
        training_slices: int | None = None,
        split: SliceSplit = "blocks",
        validation_share: float = 0.2,
        gap: int | None = None,
        num_workers: int = 0,
        splits: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            manifest,
            modality,
            batch_size=batch_size,
            samples_per_epoch=samples_per_epoch,
            num_workers=num_workers,
            splits=splits,
            seed=seed,
        )
        self.slabs = Slabs(slices, output_slices)
        self.stored_classes = list(class_names)
        self.merge = dict(merge or {})
        self.class_names = _left(self.stored_classes, self.merge)
        self.in_channels = in_channels
        self.preprocessing = PercentileRange() if preprocessing is None else preprocessing
        self.augmentation = list(augmentation or [])
        if not 0.0 <= centred_share <= 1.0:
            raise ValueError(f"centred_share is {centred_share}; expected a share in [0, 1]")
        self.patch_size = patch_size
        self.centred_share = centred_share
        self.training_slices = training_slices
        self.split = split
        self.validation_share = validation_share
        self.gap = slices if gap is None else gap

    def setup(self, stage: str) -> None:
        """Read the manifest, divide its volumes and open those of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: If manifest, split or a file cannot be used, or a needed split is empty.
        """
        super().setup(stage)
        if stage == "fit":
            self._say_unlike_voxels(self._voxel_sizes())

    @property
    def spacing_um(self) -> tuple[float, float, float] | None:
        """Median voxel size (Z, Y, X) in µm of the training volumes; None where none is known."""
        z, y, x = np.median(self._voxel_sizes(), axis=0).tolist()
        return None if np.isnan(z) else (z, y, x)

    def check_records(self, records: Sequence[Record]) -> None:
        """Take volumes, and single images as volumes of one slice."""

    @property
    def splits(self) -> Splits:
        """Which slices train, validate and test: from the split file, or divided and written."""
        if self._splits is None:
            path = self.split_file
            if path is not None and path.is_file():
                self._splits = load_splits(path, self.records)
            else:
                self._splits = self._divided()
                if path is not None:
                    write_splits(path, self._splits)
        return self._splits

    def is_usable(self, record: Record, use: Use) -> bool:
        """Whether a row is annotated, which predicting does not ask for."""
        return record.mask is not None or use == "predict"

    def usable_name(self) -> str:
        """``annotated slice of MODALITY``."""
        return f"annotated slice of {self.modality}"

    def blocks(self, use: Use, of: Splits | None = None) -> list[Block]:
        """The slices that a split uses.

        Args:
            use: ``train``, ``val``, ``test`` or ``predict``.
            of: Another split of the manifest; None: the module's own.

        Raises:
            ValueError: There is none.
        """
        splits = self.splits if of is None else of
        names = getattr(splits, "test" if use == "predict" else use)
        own = [record for record in self.records if record.modality == self.modality]
        usable = [record for record in own if self.is_usable(record, use)]
        found = select_blocks(usable, names)
        if not found:
            raise ValueError(
                f"{self.manifest}: split {use} has no {self.usable_name()}; give rows with a split "
                "column, more slices, or another validation_share or gap"
            )
        return found

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The rows whose slices a split uses; arguments as :meth:`blocks` has them."""
        return list(dict.fromkeys(block.record for block in self.blocks(split, of)))

    def origins(self) -> list[Path]:
        """Where the masks come from that decide the weights, those of training first."""
        used = [*self.select("train"), *self.select("val")]
        return list(dict.fromkeys(r.origin for r in used if r.origin is not None))

    def make_source(self, use: Use) -> SlabSource:
        """Blocks of a split, opened."""
        names = [self.merge.get(name, name) for name in self.stored_classes]
        return SlabSource(
            self.blocks(use),
            preprocessing=self.preprocessing,
            class_names=self.stored_classes,
            merged=[1 + self.class_names.index(name) for name in names],
        )

    def training_dataset(self) -> SlabDataset:
        """Random crops of the labelled training slices in use."""
        source = self.source("train")
        augment = Compose(self.augmentation) if self.augmentation else None
        return SlabDataset(
            source,
            self.slabs,
            slices_in_turn(source.blocks, self.training_slices, seed=self.seed),
            patch_size=self.patch_size,
            centred_share=self.centred_share,
            in_channels=self.in_channels,
            groups=self.groups,
            augment=augment,
        )

    def train_dataloader(self) -> DataLoader[SlabSample]:
        """Random crops in batches."""
        dataset = self.training_dataset()
        samples = self.samples_per_epoch or dataset.patches
        return self.seeded_loader(dataset, SeededSampler(len(dataset), samples, seed=self.seed))

    def val_dataloader(self) -> DataLoader[SlabSample]:
        """Whole validation slices, one by one."""
        return self._whole_slices("val")

    def test_dataloader(self) -> DataLoader[SlabSample]:
        """Whole test slices, one by one."""
        return self._whole_slices("test")

    def predict_dataloader(self) -> DataLoader[SlabSample]:
        """Whole slices of the test blocks, annotated or not, one by one."""
        return self._whole_slices("predict")

    def summary(self) -> dict[str, Any]:
        """What is in the data, for the report.

        Returns:
            Manifest and its hash, classes, voxel size and slabs, the number of labelled slices that
            train, and per split its slices, volumes and patients.
        """
        return {
            "manifest": str(self.manifest.absolute()),
            "manifest_hash": self.splits.manifest_hash,
            "modality": self.modality,
            "split_source": self.splits.source,
            "slice_split": self.split,
            "class_names": self.class_names,
            "spacing_um": None if self.spacing_um is None else list(self.spacing_um),
            "slices": self.slabs.slices,
            "training_images": len(self.training_dataset()),
            "splits": {name: self._summary_of(name) for name in SPLIT_NAMES},
        }

    def _summary_of(self, split: Use) -> dict[str, Any]:
        own = [record for record in self.records if record.modality == self.modality]
        blocks = select_blocks(own, getattr(self.splits, split))
        return {
            "images": sum(map(len, blocks)),
            "annotated": sum(len(block) for block in blocks if block.record.mask is not None),
            "volumes": len({block.record.image for block in blocks}),
            "patients": len({block.record.patient for block in blocks}),
        }

    def _say_unlike_voxels(self, sizes: NDArray[np.float64]) -> None:
        if (np.ptp(sizes, axis=0) > TOLERANCE * sizes.min(axis=0)).any():
            least, most = (np.round(size, 4).tolist() for size in (sizes.min(0), sizes.max(0)))
            rank_zero_warn(
                f"{self.manifest}: voxels of {self.modality} are {least} to {most} µm large (Z, Y, "
                "X); a network sees them as one size"
            )

    def _voxel_sizes(self) -> NDArray[np.float64]:
        """(Z, Y, X) in µm of each training volume that has one; of none a row of NaN."""
        source = self.source("train")
        sizes = np.array([source.spacing_um(block) for block in range(len(source.blocks))])
        known = sizes[np.isfinite(sizes).all(axis=1)]
        return known if len(known) else np.full((1, 3), np.nan)

    def _divided(self) -> Splits:
        own = [record for record in self.records if record.modality == self.modality]
        return divide_slices(
            own,
            self.split,
            validation_share=self.validation_share,
            gap=self.gap,
            seed=self.seed,
        )

    def _whole_slices(self, use: Use) -> DataLoader[SlabSample]:
        dataset: Dataset[SlabSample] = WholeSliceDataset(
            self.source(use),
            self.slabs,
            in_channels=self.in_channels,
            groups=self.groups,
            is_annotated=use != "predict",
        )
        return self.ordered_loader(dataset, len(dataset), batch_size=1)  # type: ignore[arg-type]


def _left(class_names: Sequence[str], merge: dict[str, str]) -> list[str]:
    """The classes that are left once some count as others."""
    for name in (*merge, *merge.values()):
        if name not in class_names or merge.get(merge.get(name, "")) is not None:
            raise ValueError(
                f"merge is {merge}; expected classes among {', '.join(class_names)}, and none that "
                "is merged twice"
            )
    return [name for name in class_names if name not in merge]
