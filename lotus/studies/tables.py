"""The tables of a study: which methods each compares, with what, and beside which figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from lotus.evaluation.choices import Level, VotingRule
from lotus.reports.published import published_table
from lotus.studies.stages import Training


@dataclass(frozen=True)
class StudyTable:
    """A table whose rows are methods.

    Attributes:
        name: By which methods say that they are its rows; empty where there is no other table.
        reference: The method that the others are tested against.
        title: What stands above it.
        published: Name of a paper whose figures make a second block; None for none.
        scores: Its columns; empty for those that `lotus compare` takes.
        level: Of classifiers, what is scored; None for every level.
        rule: How the patches of a slice or a patient decide together.
    """

    name: str
    reference: str
    title: str = ""
    published: str | None = None
    scores: tuple[str, ...] = ()
    level: Level | None = None
    rule: VotingRule = "majority"


def read_tables(
    content: Mapping[str, Any], methods: Mapping[str, Training]
) -> dict[str, StudyTable]:
    """The tables of a study's file.

    Args:
        content: Of the file. ``tables`` has names with the fields of :class:`StudyTable`; without
            it, ``reference`` and ``published`` are those of the one table that there is.
        methods: All rows.

    Returns:
        By name; none where there is no method.

    Raises:
        KeyError: The one table has no reference.
        TypeError: A field that a table does not have.
        ValueError: What is given contradicts itself; says what.
    """
    named = content.get("tables") or {}
    if named and (content.get("reference") or content.get("published")):
        raise ValueError("reference and published belong into the tables where there are some")
    if named:
        tables = {str(name): _table(str(name), entry) for name, entry in named.items()}
    elif methods:
        tables = {"": StudyTable("", str(content["reference"]), published=content.get("published"))}
    else:
        tables = {}
    for method in methods.values():
        if method.table not in tables:
            known = ", ".join(map(repr, tables))
            raise ValueError(f"{method.name} has the table {method.table!r}, expected {known}")
    for table in tables.values():
        _check(table, methods)
    return tables


def _table(name: str, entry: Mapping[str, Any]) -> StudyTable:
    scores = entry.get("scores", [])
    if not isinstance(scores, list):
        raise TypeError(f"scores of the table {name} is {scores!r}, expected a list")
    return StudyTable(**{**entry, "name": name, "scores": tuple(map(str, scores))})


def _check(table: StudyTable, methods: Mapping[str, Training]) -> None:
    reference = methods.get(table.reference)
    if reference is None or reference.table != table.name or reference.row != "compared":
        of = f" of the table {table.name}" if table.name else ""
        raise ValueError(f"the reference {table.reference!r} is none of the compared methods{of}")
    for field, choices in (("level", (None, *get_args(Level))), ("rule", get_args(VotingRule))):
        if getattr(table, field) not in choices:
            known = ", ".join(filter(None, choices))
            raise ValueError(f"{field} is {getattr(table, field)!r}, expected one of {known}")
    if table.published:
        published_table(table.published)
