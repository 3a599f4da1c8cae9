"""Tiles of several domains at once, each with classes of its own."""

from collections import Counter
from typing import Any

from torch.utils.data import ConcatDataset, DataLoader

from data_modules.jointly_split import JointlySplitDataModule
from data_modules.manifest import Record
from data_modules.patient_data import Use
from data_modules.sample import Sample
from data_modules.sampler import SeededSampler
from data_modules.splits import Splits
from data_modules.tile_segmentation import TileDataModule
from lotus.transforms.preprocessing import Preprocessing


class MultiDomainDataModule(JointlySplitDataModule):
    """Trains on the tiles of several domains at once, evaluates on the ROIs of all of them.

    All domains are split jointly by patient, whether they come from one manifest or from several.
    Train batches are ``{domain: batch}``, each of the domain's own batch size; an epoch ends when
    the domain with the most batches has had them all, and the others begin anew meanwhile.
    Validation, test and prediction go through the ROIs one by one, domain by domain: plain batches
    whose ``modality`` says which domain they are of.

    The split's file is that of whichever domain names one; its fractions and its seed are those of
    the first. All domains are preprocessed alike, because nobody knows the domain of a new image
    before it is preprocessed.

    Args:
        domains: The domains by name, which is that of their modality.

    Raises:
        ValueError: There is no domain, one has another name than its modality, they are
            preprocessed in different ways, or they name different split files.
    """

    def __init__(self, domains: dict[str, TileDataModule]) -> None:
        if not domains:
            raise ValueError("found no domain; expected at least one, such as fluorescence")
        for name, domain in domains.items():
            if name != domain.modality:
                raise ValueError(
                    f"domain '{name}' shows the modality '{domain.modality}'; expected one name "
                    "for both, by which batches tell their domain"
                )
        super().__init__(domains, leading=next(iter(domains)))
        self.domains = dict(domains)
        described = {name: _described(domain.preprocessing) for name, domain in domains.items()}
        if len(set(described.values())) > 1:
            found = ", ".join(f"{name} by {text}" for name, text in described.items())
            raise ValueError(
                f"domains are preprocessed in different ways: {found}; expected one for all, since "
                "the domain of a new image is found after it"
            )

    @property
    def preprocessing(self) -> Preprocessing:
        """How images of all domains are preprocessed."""
        return next(iter(self.domains.values())).preprocessing

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """Pixel size (Y, X) in µm in which the network sees ROIs; None: unknown, or not one."""
        sizes = {domain.spacing_um for domain in self.domains.values()}
        return next(iter(sizes)) if len(sizes) == 1 else None

    @property
    def resamples(self) -> bool:
        """Whether ROIs of another pixel size than ``spacing_um`` are resampled."""
        return any(domain.resamples for domain in self.domains.values())

    @property
    def class_names(self) -> dict[str, list[str]]:
        """Foreground classes of each domain, in the order of the mask's values from 1."""
        return {name: domain.class_names for name, domain in self.domains.items()}

    def join(self) -> Splits:
        """Make the joint split and hand it to all domains; once.

        Raises:
            ValueError: Two domains have ROIs of one name, by which predictions are told apart.
        """
        if self._joint is None:
            records = self.records
            counts = Counter(r.name for r in records if r.modality in self.domains)
            if twice := [name for name, count in counts.items() if count > 1]:
                raise ValueError(
                    f"{len(twice)} names stand for ROIs of two domains, such as '{twice[0]}'; "
                    "expected file names that differ, such as with the domain at their end"
                )
        return super().join()

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        No image is read.

        Args:
            splits: A split of all manifests.

        Raises:
            ValueError: A set has no ROI of some domain.
        """
        for domain in self.domains.values():
            domain.check_splits(splits)

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The records that a split uses, domain by domain; see :meth:`TileDataModule.select`."""
        splits = self.join() if of is None else of
        return [r for domain in self.domains.values() for r in domain.select(split, splits)]

    def setup(self, stage: str) -> None:
        """Split all domains jointly and prepare the ROIs of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: A manifest, the split or a file cannot be used, or the domains are resampled
                to different pixel sizes.
        """
        self.join()
        self._check_spacing()
        for domain in self.domains.values():
            domain.setup(stage)

    def train_dataloader(self) -> dict[str, DataLoader[Sample]]:
        """Tiles in batches of every domain, as many of each; the trainer joins them."""
        self.join()
        tiles = {name: domain.training_tiles() for name, domain in self.domains.items()}
        steps = max(
            -(-(domain.samples_per_epoch or len(tiles[name])) // domain.batch_size)
            for name, domain in self.domains.items()
        )
        return {
            name: domain.seeded_loader(
                tiles[name],
                SeededSampler(len(tiles[name]), steps * domain.batch_size, seed=domain.seed),
            )
            for name, domain in self.domains.items()
        }

    def val_dataloader(self) -> DataLoader[Sample]:
        """Whole validation ROIs of all domains, one by one."""
        return self._whole_rois("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Whole test ROIs of all domains, one by one."""
        return self._whole_rois("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Whole ROIs of the test patients of all domains, annotated or not, one by one."""
        return self._whole_rois("predict")

    def summary(self) -> dict[str, Any]:
        """The summaries of all domains; for the report."""
        self.join()
        return {"parts": {name: domain.summary() for name, domain in self.domains.items()}}

    def _check_spacing(self) -> None:
        """Nobody knows the domain of a new image, and so its size, before the network sees it."""
        sizes = {name: domain.network_spacing_um for name, domain in self.domains.items()}
        if len({*sizes.values()}) > 1:
            raise ValueError(
                f"domains are resampled to different pixel sizes: {sizes}; give all of them the "
                "same spacing_um"
            )

    def _whole_rois(self, use: Use) -> DataLoader[Sample]:
        self.join()
        each = [domain.whole_images(use) for domain in self.domains.values()]
        rois: ConcatDataset[Sample] = ConcatDataset(each)
        return self._leading_part.ordered_loader(rois, len(rois), batch_size=1)


def _described(preprocessing: Preprocessing) -> str:
    """Class and settings."""
    return f"{type(preprocessing).__name__}{vars(preprocessing)}"
