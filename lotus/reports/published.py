"""Figures of papers, for a second block of a comparison. They are of other data."""

from lotus.reports.comparison import PublishedRow

_NAN = float("nan")

PUBLISHED = {
    # Poles et al., MICCAI 2024, Table 1 (SR-microCT). "HD" is their HD95 and "AJI" their IoU of the
    # foregrounds: docs/metrics.md.
    "lotus2024": (
        PublishedRow(
            "Teacher",
            {"dice": (65.96, _NAN), "hd": (99.89, _NAN), "aji": (49.78, _NAN), "pq": (40.91, _NAN)},
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
}
