"""Tables of classified patches: to whom each belongs, and how probable every group is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lotus.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = ("name", "slice", "patient", "group", "predicted")
PROBABILITY = "p_"
"""Before the name of a group: the column of its probability."""
REPETITIONS = ("fold", "seed")
"""Columns that say which training classified a patch, where there are several."""


def probability_columns(table: pd.DataFrame) -> list[str]:
    """The columns of the probabilities, in the order of the groups' labels."""
    return [str(name) for name in table.columns if str(name).startswith(PROBABILITY)]


def groups_of(table: pd.DataFrame) -> list[str]:
    """The groups that a classifier tells apart, in the order of their labels."""
    return [name.removeprefix(PROBABILITY) for name in probability_columns(table)]


def write_classified(table: pd.DataFrame, path: Path) -> None:
    """Write a table of classified patches as CSV.

    Args:
        table: One row per patch with `name`, `slice`, `patient`, `group` (what is true),
            `predicted`, and `p_<group>` for every group, in [0, 1], in the order of their labels;
            perhaps `fold` or `seed`.
        path: File to write; whole or not at all.

    Raises:
        ValueError: It is no such table; says what is wrong with it.
    """
    check_classified(table, str(path))
    repetitions = [name for name in REPETITIONS if name in table]
    columns = [*TEXT_COLUMNS, *repetitions, *probability_columns(table)]
    with atomic_path(path) as temporary:
        table[columns].to_csv(temporary, index=False, float_format="%.9g", na_rep="nan")


def read_classified(path: Path) -> pd.DataFrame:
    """Read a table of :func:`write_classified`.

    Names stay text, also those like `007` or `NA`.

    Args:
        path: The file of a run, or of a cross-validation.

    Returns:
        One row per patch, and per seed where a method was trained with several.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file was cut off, or holds something else.
    """
    import pandas as pd  # A training, which reads no such table, starts without it.

    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} has no {path.name}: run `lotus test` or `lotus crossval` of a "
            "classification"
        )
    try:
        text = path.read_text(encoding="utf-8")
        cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        numbers = cells.columns.drop([*TEXT_COLUMNS], errors="ignore")
        table = cells.assign(**{name: cells[name].astype(float) for name in numbers})
    except ValueError as error:
        raise ValueError(f"{path} is not a table of classified patches ({error})") from error
    if not text.endswith("\n"):
        raise ValueError(f"{path} was cut off in its last row; test the run again")
    whole = [name for name in REPETITIONS if name in table]
    check_classified(table, str(path))
    return table.astype(dict.fromkeys(whole, int))


def check_classified(table: pd.DataFrame, where: str) -> None:
    """Make sure that a table is one of classified patches.

    Args:
        table: The table.
        where: What it is called in the message.

    Raises:
        ValueError: A column is missing, it has no row or fewer than two groups, a patch stands
            there twice, a patient is of two groups, a group is none of those with a probability,
            or a probability is not in [0, 1].
    """
    missing = [name for name in TEXT_COLUMNS if name not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"{where}: no column {missing[0]!r} of classified patches; found {found}")
    groups = groups_of(table)
    if len(groups) < 2 or not len(table):
        raise ValueError(
            f"{where}: found {len(table)} patches and probabilities of {len(groups)} groups; "
            "expected at least one patch and two groups"
        )
    twice = table.duplicated(["name", *(name for name in ("seed",) if name in table)])
    if twice.any():
        raise ValueError(f"{where}: patch {table.loc[twice, 'name'].iloc[0]} is there twice")
    _check_groups(table, groups, where)
    values = table[probability_columns(table)]
    wrong = ~((values >= 0) & (values <= 1)).all(axis=1)
    if wrong.any():
        name = table.loc[wrong, "name"].iloc[0]
        raise ValueError(f"{where}: patch {name} has a probability that is not in [0, 1]")


def _check_groups(table: pd.DataFrame, groups: Sequence[str], where: str) -> None:
    for column in ("group", "predicted"):
        strange = table[column][~table[column].isin(groups)]
        if len(strange):
            raise ValueError(
                f"{where}: {column} is {strange.iloc[0]!r}, expected one of {', '.join(groups)}"
            )
    of_patient = table.groupby("patient", sort=True)["group"].unique()
    for patient, found in of_patient.items():
        if len(found) > 1:
            raise ValueError(f"{where}: patient {patient} is in {' and in '.join(sorted(found))}")
