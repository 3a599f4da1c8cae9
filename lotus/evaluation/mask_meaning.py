"""What the masks of two folders mean that are to be compared."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lotus.evaluation.choices import IMAGES_AT_A_TIME, IMAGES_PER_PROCESS, Kind
from lotus.evaluation.pairs import pair_files
from lotus.imaging.mask_files import look_at_mask
from lotus.masks import USUAL_VALUES, MaskFacts, MaskValues, Meaning, conclude
from lotus.process_pool import map_in_processes


def look_at_folders(
    predictions: Path,
    targets: Path,
    kind: Kind,
    target_values: MaskValues = USUAL_VALUES,
    prediction_values: MaskValues = USUAL_VALUES,
    *,
    processes: int = 1,
) -> dict[str, Meaning]:
    """Say what the masks of two folders mean before they are scored.

    Args:
        predictions: Folder of predicted masks or label maps.
        targets: Folder of true ones.
        kind: Of both.
        target_values: What the values of the true files stand for, as far as it is known.
        prediction_values: What those of the predicted files stand for.
        processes: Look at files in up to this many processes, where there are enough.

    Returns:
        The meaning of the ``targets`` and of the ``predictions``; see :func:`lotus.masks.conclude`.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If files have no partner, or masks can be read in two ways; the line says how to
            tell `lotus evaluate` which.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from lotus.evaluation.mask_meaning import look_at_folders
        >>> from lotus.imaging import write_label_map
        >>> with TemporaryDirectory() as root:
        ...     for name in ("predictions", "targets"):
        ...         write_label_map(Path(root, name, "a.png"), np.array([[255, 0, 255, 0]]))
        ...     found = look_at_folders(Path(root, "predictions"), Path(root, "targets"), "binary")
        >>> found["targets"].text
        'binary: 0 is background, 255 object (50.0 % of the pixels)'
    """
    pairs = pair_files(predictions, targets)
    true = _look_at([pair.target for pair in pairs], target_values, processes)
    predicted = _look_at([pair.prediction for pair in pairs], prediction_values, processes)
    return {
        "targets": conclude(true, target_values, kind),
        "predictions": conclude(
            predicted, prediction_values, kind, option="--prediction-values", are_predicted=True
        ),
    }


def _look_at(files: list[Path], values: MaskValues, processes: int) -> dict[Path, MaskFacts]:
    facts = map_in_processes(
        partial(look_at_mask, values=values),
        files,
        processes,
        items_per_process=IMAGES_PER_PROCESS,
        chunk=IMAGES_AT_A_TIME,
    )
    return dict(zip(files, facts, strict=True))
