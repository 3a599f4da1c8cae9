"""No network that a training starts from may know the patients it will be tested on."""

from pathlib import Path

from data_modules.splits import Splits, read_splits


def refuse_leakage(checkpoint: Path, splits: Splits) -> None:
    """Compare the patients a checkpoint was made with to the test patients of a training.

    A checkpoint in a run folder has the split of its training beside it. One that was moved
    elsewhere is not judged.

    Args:
        checkpoint: ``<run>/checkpoints/<name>.ckpt``.
        splits: the split of the training that starts from it.

    Raises:
        ValueError: the checkpoint was trained or chosen on a test patient.
    """
    path = checkpoint.resolve().parents[1] / "splits.json"
    if not path.is_file():
        return
    made_with = read_splits(path)
    leaked = sorted({*made_with.train, *made_with.val}.intersection(splits.test))
    if leaked:
        more = f" and {len(leaked) - 1} more" if leaked[1:] else ""
        raise ValueError(
            f"{checkpoint} was trained with patient {leaked[0]}{more}, whom this training tests "
            "on: train it with the same manifest and seed, or with the same split file"
        )
