"""Figures of papers, for a second block of a comparison. They are of other data."""

from lotus.reports.comparison import PublishedRow, PublishedTable

_NAN = float("nan")

_TABLES = {
    # Table 1 (SR-microCT).
    "lotus2024": PublishedTable(
        note="Poles et al., MICCAI 2024; HD is their HD95 and AJI their IoU of the foregrounds",
        rows=(
            PublishedRow(
                "Teacher",
                {
                    "dice": (65.96, _NAN),
                    "hd": (99.89, _NAN),
                    "aji": (49.78, _NAN),
                    "pq": (40.91, _NAN),
                },
            ),
            PublishedRow(
                "Student",
                {
                    "dice": (55.69, _NAN),
                    "hd": (148.78, _NAN),
                    "aji": (39.60, _NAN),
                    "pq": (29.36, _NAN),
                },
            ),
            PublishedRow(
                "LOTUS",
                {
                    "dice": (61.59, 7.87),
                    "hd": (109.86, 37.35),
                    "aji": (45.12, 8.06),
                    "pq": (34.74, 6.98),
                },
            ),
        ),
    ),
}


def published_table(name: str) -> PublishedTable:
    """The table of a paper.

    Args:
        name: ``lotus2024``.

    Raises:
        ValueError: There is no such table; names those there are.
    """
    if name not in _TABLES:
        raise ValueError(f"no published table {name!r}; expected {' or '.join(_TABLES)}")
    return _TABLES[name]
