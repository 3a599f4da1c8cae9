"""Classified patches brought together by slice and patient, and their scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torchmetrics.functional import classification as metrics

from lotus.evaluation.choices import Level, VotingRule
from lotus.runs.classified import groups_of, probability_columns

SCORES = ("accuracy", "precision", "recall", "f1", "auroc", "ece")
"""What a classification is scored by, in the order of tables."""
BINS = 15
"""Of the confidence, for the calibration error and its curve."""
_UNDEFINED_WITHOUT_A_GROUP = ("precision", "recall", "f1", "auroc")


def at_level(table: pd.DataFrame, level: Level, rule: VotingRule = "majority") -> pd.DataFrame:
    """Bring the patches of a slice or a patient to one decision.

    Every patch has one vote, also for its patient, so that a slice counts by its patches.

    Args:
        table: One row per patch, of :func:`~lotus.runs.classified.read_classified`; perhaps of
            several seeds, which are kept apart.
        level: What gets one row.
        rule: ``majority``: the group with most votes, of equally many that of the higher mean
            probability; the probabilities are the shares of the votes. ``mean``: the group of the
            highest mean probability, and these means.

    Returns:
        ``name`` (of the patch, slice or patient), ``patient``, ``group``, ``predicted``, the
        probabilities, and ``seed`` where the table has it.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import at_level
        >>> table = pd.DataFrame({
        ...     "name": ["a", "b", "c"], "slice": ["s", "s", "t"], "patient": ["P", "P", "P"],
        ...     "group": ["ill", "ill", "ill"], "predicted": ["ill", "well", "well"],
        ...     "p_ill": [0.9, 0.4, 0.4], "p_well": [0.1, 0.6, 0.6],
        ... })
        >>> at_level(table, "patient", "majority")["predicted"].tolist()  # 2 of 3 votes
        ['well']
        >>> at_level(table, "patient", "mean")["predicted"].tolist()  # 0.57 against 0.43
        ['ill']
    """
    seed = [name for name in ("seed",) if name in table]
    probabilities, groups = probability_columns(table), groups_of(table)
    if level == "patch":
        return table[["name", "patient", "group", "predicted", *seed, *probabilities]]
    together = table.groupby([*seed, level], sort=True)
    means = together[probabilities].mean()
    votes = pd.DataFrame(
        {
            name: table["predicted"].eq(group)
            for name, group in zip(probabilities, groups, strict=True)
        }
    )
    shares = votes.groupby([table[name] for name in (*seed, level)], sort=True).mean()
    if rule == "mean":
        best, kept = means, means
    else:
        most = shares.eq(shares.max(axis=1), axis=0)
        best, kept = means.where(most, -1.0), shares
    predicted = np.asarray(groups)[best.to_numpy().argmax(axis=1)]
    # Whose slice it is; a patient's own column is the index.
    own = together[["group"] if level == "patient" else ["patient", "group"]].first()
    rows = own.assign(predicted=predicted).join(kept).reset_index()
    rows = rows.assign(name=rows[level], patient=rows["patient"])
    return rows[["name", "patient", "group", "predicted", *seed, *probabilities]]


def classification_scores(cases: pd.DataFrame) -> dict[str, float]:
    """Score the cases of one level.

    Accuracy is the share of cases that are right. Precision, recall and F1 are macro averages: of
    each group, then their mean; that of recall is the balanced accuracy. A group that is never
    predicted has a precision of 0. AUROC is the mean over the groups of each against the others.
    ECE is the expected calibration error (Guo et al. 2017) of the probability of the most probable
    group, in 15 bins of equal width. Where a group has no case, its recall is undefined, and so
    are the averages.

    Args:
        cases: Of :func:`at_level`. Of several seeds, the scores are the means over the seeds.

    Returns:
        The scores of `SCORES`, in [0, 1] or NaN.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import classification_scores
        >>> cases = pd.DataFrame({
        ...     "group": ["ill", "ill", "well", "well"],
        ...     "predicted": ["ill", "well", "well", "well"],
        ...     "p_ill": [0.8, 0.4, 0.3, 0.1], "p_well": [0.2, 0.6, 0.7, 0.9],
        ... })
        >>> scores = classification_scores(cases)
        >>> scores["accuracy"], scores["recall"], scores["auroc"]
        (0.75, 0.75, 1.0)
    """
    each = [_scores_of_one_seed(own) for own in by_seed(cases)]
    return {name: float(np.mean([scores[name] for scores in each])) for name in SCORES}


def confusion_matrix(cases: pd.DataFrame) -> pd.DataFrame:
    """Count the cases of every true group (rows) and predicted group (columns).

    Args:
        cases: Of :func:`at_level`; the seeds, where there are several, are added up.

    Returns:
        Counts, in the order of the groups' labels.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import confusion_matrix
        >>> cases = pd.DataFrame({
        ...     "group": ["ill", "ill", "well", "well"],
        ...     "predicted": ["ill", "well", "well", "well"],
        ...     "p_ill": [0.8, 0.4, 0.3, 0.1], "p_well": [0.2, 0.6, 0.7, 0.9],
        ... })
        >>> confusion_matrix(cases).to_numpy().tolist()
        [[1, 1], [0, 2]]
    """
    groups = groups_of(cases)
    counted = pd.crosstab(cases["group"], cases["predicted"])
    return counted.reindex(index=groups, columns=groups, fill_value=0)


def calibration_curve(cases: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """How often a classifier is right where it is so and so sure.

    Args:
        cases: Of :func:`at_level`.
        bins: Of equal width over [0, 1].

    Returns:
        One row per bin with a case: ``n``, mean ``confidence`` (probability of the most probable
        group) and ``accuracy`` (share of cases in which that group is the true one).

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import calibration_curve
        >>> cases = pd.DataFrame({
        ...     "group": ["ill", "ill", "well", "well"],
        ...     "predicted": ["ill", "well", "well", "well"],
        ...     "p_ill": [0.8, 0.4, 0.3, 0.1], "p_well": [0.2, 0.6, 0.7, 0.9],
        ... })
        >>> calibration_curve(cases, bins=4)["accuracy"].round(2).tolist()  # below 0.75, above
        [0.5, 1.0]
    """
    confidence, correct = confidence_of(cases)
    place = bin_of(confidence, bins)
    frame = pd.DataFrame({"confidence": confidence, "accuracy": correct})
    return frame.groupby(place).agg(
        n=("confidence", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )


def by_seed(cases: pd.DataFrame) -> list[pd.DataFrame]:
    """The cases of each seed, or all of them where there is one.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import by_seed
        >>> cases = pd.DataFrame({"name": ["a", "b", "a", "b"], "seed": [1, 1, 2, 2]})
        >>> [len(own) for own in by_seed(cases)]
        [2, 2]
    """
    return [own for _, own in cases.groupby("seed")] if "seed" in cases else [cases]


def confidence_of(cases: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The highest probability (N,) float32 of every case, and whether its group is the true one.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.classification import confidence_of
        >>> cases = pd.DataFrame({"group": ["a", "a"], "p_a": [0.75, 0.25], "p_b": [0.25, 0.75]})
        >>> confidence, correct = confidence_of(cases)
        >>> confidence.round(2).tolist(), correct.tolist()
        ([0.75, 0.75], [1.0, 0.0])
    """
    probabilities = cases[probability_columns(cases)].to_numpy(np.float32)
    best = np.asarray(groups_of(cases))[probabilities.argmax(axis=1)]
    return probabilities.max(axis=1), (best == cases["group"].to_numpy()).astype(np.float64)


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin (N,) of every confidence, as torchmetrics has them: 1.0 has a bin of its own.

    Example:
        >>> import numpy as np
        >>> from lotus.evaluation.classification import bin_of
        >>> bin_of(np.float32([0.1, 0.5, 0.9, 1.0]), bins=2).tolist()
        [0, 1, 1, 2]
    """
    edges = torch.linspace(0, 1, bins + 1)
    return (torch.bucketize(torch.from_numpy(confidence), edges, right=True) - 1).numpy()


def _scores_of_one_seed(cases: pd.DataFrame) -> dict[str, float]:
    groups = groups_of(cases)
    number = {group: label for label, group in enumerate(groups)}
    true = torch.tensor(cases["group"].map(number).to_numpy())
    predicted = torch.tensor(cases["predicted"].map(number).to_numpy())
    probabilities = torch.tensor(cases[probability_columns(cases)].to_numpy(np.float32))
    n = len(groups)
    found = {
        "accuracy": metrics.multiclass_accuracy(predicted, true, n, average="micro"),
        "precision": metrics.multiclass_precision(predicted, true, n, average="macro"),
        "recall": metrics.multiclass_recall(predicted, true, n, average="macro"),
        "f1": metrics.multiclass_f1_score(predicted, true, n, average="macro"),
        "ece": metrics.multiclass_calibration_error(probabilities, true, n, n_bins=BINS),
    }
    scores = {name: float(value) for name, value in found.items()}
    if cases["group"].nunique() < n:
        return {**scores, **dict.fromkeys(_UNDEFINED_WITHOUT_A_GROUP, float("nan"))}
    return {**scores, "auroc": float(metrics.multiclass_auroc(probabilities, true, n))}
