"""Explanations of patches summed up by patient, against chance and against another network's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lotus.evaluation.statistics import holm, paired_test
from lotus.runs.explained import CHANCE, SCORES

AGAINST_CHANCE = ("pointing", "energy")
COUNTS = ("with_lacunae", "without_lacunae", "not_annotated", "empty_map")
"""Columns that say how many patches of a patient have and lack what scores need."""


def explained_patients(table: pd.DataFrame) -> pd.DataFrame:
    """The mean scores of every patient, and how many patches they are of.

    Args:
        table: Of explained patches, see :func:`lotus.runs.explained.read_explained`.

    Returns:
        One row per patient: `patient`, `group`, the number of `patches`, of those `with_lacunae`,
        `without_lacunae`, `not_annotated` and with an `empty_map`; `lacunae`, the mean share of
        area in the patches with lacunae, and every score over the patches in which it is defined.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.explanation import COUNTS, explained_patients
        >>> nan = float("nan")
        >>> table = pd.DataFrame({"name": ["a", "b", "c"], "patient": "1", "group": "healthy",
        ...     "lacunae": [0.1, 0.0, nan], "pointing": [1.0, nan, nan], "energy": [0.4, nan, nan],
        ...     "deletion": [0.5, 0.3, nan], "insertion": 0.6, "road": 0.1})
        >>> rows = explained_patients(table)
        >>> rows[["patches", *COUNTS]].to_numpy().tolist()
        [[3, 1, 1, 1, 1]]
        >>> rows[["lacunae", "energy", "deletion"]].to_numpy().tolist()
        [[0.1, 0.4, 0.4]]
    """
    share = table[CHANCE]
    marked = table.assign(
        patches=1,
        with_lacunae=(share > 0).astype(int),
        without_lacunae=(share == 0).astype(int),
        not_annotated=share.isna().astype(int),
        empty_map=table["deletion"].isna().astype(int),
        **{CHANCE: share.where(share > 0)},
    )
    groups = marked.groupby("patient", sort=True)
    parts = (
        groups[["group"]].first(),
        groups[["patches", *COUNTS]].sum(),
        groups[[CHANCE, *SCORES]].mean(),
    )
    return pd.concat(parts, axis=1).reset_index()


def explained_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Every score over patients, each of which counts once, beside what chance gives.

    Chance is the share of area that lacunae cover for pointing game and energy, in the same
    patches, and 0 for ROAD; deletion and insertion have none that is known beforehand.

    Args:
        table: Of explained patches.

    Returns:
        One row per score: `score`, its `mean` and `sd` (n - 1) over patients, `patients` and
        `patches` in which it is defined, `chance`, and the p-values `p_t` and `p_wilcoxon` of the
        paired tests against chance over patients.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.explanation import explained_summary
        >>> table = pd.DataFrame({"name": ["a", "b", "c"], "patient": ["1", "1", "2"],
        ...     "lacunae": [0.1, 0.3, 0.1], "pointing": 1.0, "energy": [0.2, 0.4, 0.5],
        ...     "deletion": 0.5, "insertion": 0.6, "road": [0.1, 0.3, -0.2]})
        >>> rows = explained_summary(table).set_index("score")
        >>> rows.loc["energy", ["mean", "chance", "patients", "patches"]].round(3).tolist()
        [0.4, 0.15, 2.0, 3.0]
        >>> rows.loc["road", ["mean", "chance"]].tolist()
        [0.0, 0.0]
    """
    return pd.DataFrame([_against_chance(table, score) for score in SCORES])


def compare_explanations(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Test over patients whether one network is explained better than another.

    A patch counts for a score where it is defined for both networks, and a patient once, by the
    mean of these patches.

    Args:
        table: Explained patches of a network.
        other: The same patches, explained for another network.

    Returns:
        One row per score: `score`, `patients`, `patches`, the means over patients `mean` and
        `other`, their `difference`, `p_t` and `p_wilcoxon` of the paired tests, and `p_holm`, that
        of the t-test corrected for the number of scores.

    Raises:
        ValueError: A patch is explained for one alone, or its lacunae differ.

    Example:
        >>> import pandas as pd
        >>> from lotus.evaluation.explanation import compare_explanations
        >>> table = pd.DataFrame({"name": ["a", "b", "c"], "patient": ["1", "2", "3"],
        ...     "lacunae": 0.1, "pointing": 1.0, "energy": [0.3, 0.5, 0.4],
        ...     "deletion": 0.5, "insertion": 0.6, "road": 0.1})
        >>> other = table.assign(energy=[0.1, 0.2, 0.3])
        >>> rows = compare_explanations(table, other).set_index("score")
        >>> rows.loc["energy", ["patients", "mean", "other", "difference", "p_t"]].round(4).tolist()
        [3.0, 0.4, 0.2, 0.2, 0.0742]
    """
    ours, theirs = (rows.set_index("name") for rows in (table, other))
    alone = [*ours.index.symmetric_difference(theirs.index)]
    if alone:
        raise ValueError(
            f"{len(alone)} patches are explained for one of the two networks alone, first "
            f"{alone[0]}; explain both with the same patches"
        )
    theirs = theirs.loc[ours.index]
    differs = ~np.isclose(ours[CHANCE], theirs[CHANCE], atol=1e-6, equal_nan=True)
    if differs.any():
        raise ValueError(
            f"patch {ours.index[differs][0]} has other lacunae in the two explanations; explain "
            "both with the same masks"
        )
    rows = []
    for score in SCORES:
        both = ours[score].notna() & theirs[score].notna()
        patients = ours["patient"][both]
        means = [scores[score][both].groupby(patients).mean() for scores in (ours, theirs)]
        test = paired_test(*(values.to_numpy() for values in means))
        rows.append(
            {
                "score": score,
                "patients": test.n,
                "patches": int(both.sum()),
                "mean": means[0].mean(),
                "other": means[1].mean(),
                "difference": test.difference,
                "p_t": test.p_t,
                "p_wilcoxon": test.p_wilcoxon,
            }
        )
    found = pd.DataFrame(rows)
    return found.assign(p_holm=holm(found["p_t"].tolist()))


def _against_chance(table: pd.DataFrame, score: str) -> dict[str, object]:
    defined = table[table[score].notna()]
    patients = defined.groupby("patient", sort=True)
    values = patients[score].mean()
    chance = values * np.nan
    if score in AGAINST_CHANCE:
        chance = patients[CHANCE].mean()
    elif score == "road":
        chance = values * 0.0
    test = paired_test(values.to_numpy(), chance.to_numpy())
    return {
        "score": score,
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "patients": len(values),
        "patches": len(defined),
        "chance": chance.mean(),
        "p_t": test.p_t,
        "p_wilcoxon": test.p_wilcoxon,
    }
