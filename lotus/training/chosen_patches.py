"""Some test patches of a finished classification, as `lotus test` reads them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from lotus.batch import PatchBatch
from lotus.runs import RunFolder
from lotus.training.configuration import tested_data


@dataclass(frozen=True)
class ChosenPatches:
    """Patches of the test patients of a run.

    Attributes:
        names: Of the patches.
        loader: Their batches.
        mask_of: From a name to the annotated objects, bool (Y, X) in the pixels of the slice; None
            where the slice has no mask.
    """

    names: list[str]
    loader: DataLoader[PatchBatch]
    mask_of: Callable[[str], NDArray[np.bool_] | None]


def choose_test_patches(
    run: RunFolder,
    *,
    per_patient: int | None = None,
    names: Collection[str] | None = None,
    seed: int = 0,
    guide: Any = None,
) -> ChosenPatches:
    """Read the test patches of a run with the data module of its configuration.

    Args:
        run: A run of a classification.
        per_patient: So many of each patient, drawn by the seed, those of slices with a mask before
            the others: without a mask nobody can say what a map lies on. None: all.
        names: Take those among these instead.
        seed: Decides which.
        guide: The network's :class:`lotus.tasks.guide.MaskGuide`, where it needs one.

    Raises:
        FileNotFoundError: The run has no configuration, or its data are gone.
        ValueError: The data cannot be used, or the number is not positive.
    """
    if per_patient is not None and per_patient < 1:
        raise ValueError(f"{per_patient} patches per patient; at least 1 is expected")
    data = tested_data(run)
    if guide is not None:
        guide.use_on(data.spacing_um)
        data.use_guide(guide.key, guide)
    source = data.source("test")
    numbers = range(len(source))
    if names is not None:
        chosen = [number for number in numbers if source.name_of(number) in names]
    else:
        records = [source.record_of(number) for number in numbers]
        chosen = annotated_first(
            [record.patient for record in records],
            [record.mask is not None for record in records],
            per_patient,
            seed,
        )
    patches = Subset(data.test_dataloader().dataset, chosen)
    return ChosenPatches(
        names=[source.name_of(number) for number in chosen],
        loader=data.ordered_loader(patches, len(chosen), data.batch_size),
        mask_of=data.sample_mask,
    )


def annotated_first(
    patients: Sequence[str], annotated: Sequence[bool], count: int | None, seed: int
) -> list[int]:
    """So many patches of each patient.

    Args:
        patients: Of every patch.
        annotated: Whether its slice has a mask.
        count: Of each patient; all where there are fewer, or for None.
        seed: Decides which; a smaller choice is part of a larger one.

    Returns:
        Numbers of patches, sorted.
    """
    of_patient: dict[str, list[int]] = defaultdict(list)
    for number, patient in enumerate(patients):
        of_patient[patient].append(number)
    generators = np.random.default_rng(seed).spawn(len(of_patient))
    chosen: list[int] = []
    for patient, generator in zip(sorted(of_patient), generators, strict=True):
        drawn = generator.permutation(of_patient[patient]).tolist()
        chosen += sorted(drawn, key=lambda number: not annotated[number])[:count]
    return sorted(chosen)
