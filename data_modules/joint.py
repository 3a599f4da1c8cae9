"""What data modules of several modalities at once have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch.utils.data import DataLoader, Dataset

from data_modules.jointly_split import JointlySplitDataModule
from data_modules.manifest import Record
from data_modules.patient_data import Use
from data_modules.sample import Sample, SampleParts
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import Splits
from lotus.transforms.preprocessing import Preprocessing


class JointDataModule(JointlySplitDataModule, ABC):
    """Trains on several parts at once, evaluates on one of them.

    A part is a modality. All are split jointly by patient, whether they come from one manifest or
    from several: nobody whose images validate or test is among those that any part shows in
    training. Train batches are ``{name of part: batch}``; which images go together is what the
    classes below differ in. Batch size, order and length of an epoch are those of the evaluated
    part. So are the split's file, fractions and seed, and the batches of validation, test and
    prediction.

    Args:
        parts: The modalities by name.
        evaluated: Name of the part that validates and tests.

    Attributes:
        paired: Whether the images of a sample show the same field, pixel by pixel.

    Raises:
        ValueError: If no part has the name ``evaluated``, or parts name different split files.
    """

    paired: ClassVar[bool]

    def __init__(self, parts: dict[str, SegmentationDataModule], evaluated: str) -> None:
        if evaluated not in parts:
            raise ValueError(f"evaluated is '{evaluated}'; expected one of {', '.join(parts)}")
        super().__init__(parts, leading=evaluated)
        self.evaluated = evaluated
        self._evaluated_part = self.parts[evaluated]

    @property
    def preprocessing(self) -> Preprocessing:
        """How the evaluated images are preprocessed."""
        return self._evaluated_part.preprocessing

    @property
    def spacing_um(self) -> tuple[float, float] | None:
        """That of the evaluated part; see :attr:`SegmentationDataModule.spacing_um`."""
        return self._evaluated_part.spacing_um

    @property
    def resamples(self) -> bool:
        """Whether evaluated images of another pixel size than ``spacing_um`` are resampled."""
        return self._evaluated_part.resamples

    def check_splits(self, splits: Splits) -> None:
        """Make sure that a training could train, validate and test, without taking a split on.

        No image is read.

        Args:
            splits: A split of all manifests.

        Raises:
            ValueError: If a set has no image, or too few, or a training image has no partner.
        """
        self._evaluated_part.check_splits(splits)
        self.check_partners(
            {name: part.select("train", splits) for name, part in self.parts.items()}
        )

    def select(self, split: Use, of: Splits | None = None) -> list[Record]:
        """The evaluated part's records in a split; see :class:`SegmentationDataModule`."""
        return self._evaluated_part.select(split, of)

    def setup(self, stage: str) -> None:
        """Split all parts jointly and prepare the images of a stage.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``.

        Raises:
            ValueError: As :meth:`SegmentationDataModule.setup` and :meth:`training_dataset`.
        """
        self.join()
        self._evaluated_part.setup(stage)
        if stage == "fit":
            self.training_dataset()

    @abstractmethod
    def check_partners(self, records: Mapping[str, Sequence[Record]]) -> None:
        """Make sure that every training image of the evaluated part has its partners.

        Args:
            records: Training records of each part.

        Raises:
            ValueError: If one has none.
        """

    @abstractmethod
    def training_dataset(self) -> Dataset[SampleParts]:
        """``{name of part: sample}`` of every training image of the evaluated part.

        Raises:
            ValueError: If an image has no partner.
        """

    def train_dataloader(self) -> DataLoader[SampleParts]:
        """Batches of crops of the evaluated part, each with as many of every other part."""
        self.join()
        return self._evaluated_part.training_loader(
            self.training_dataset(), len(self.select("train"))
        )

    def val_dataloader(self) -> DataLoader[Sample]:
        """The validation images of the evaluated part."""
        return self._evaluated_part.val_dataloader()

    def test_dataloader(self) -> DataLoader[Sample]:
        """The test images of the evaluated part."""
        return self._evaluated_part.test_dataloader()

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The evaluated part's images of the test patients."""
        return self._evaluated_part.predict_dataloader()

    def summary(self) -> dict[str, Any]:
        """Whether the images are pairs, and the summaries of all parts; for the report."""
        self.join()
        parts = {name: part.summary() for name, part in self.parts.items()}
        return {"paired": self.paired, "parts": parts}
