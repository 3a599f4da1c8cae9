"""Figures of papers, for a second block of a comparison. They are of other data."""

from lotus.reports.paper_table import PublishedRow, PublishedTable

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
    # Table I of the BHI 2023 paper on mask-guided attention (SR-microCT).
    "mga2023-segmentation": PublishedTable(
        note="Poles et al., BHI 2023, Table I (a), DSC of lacunae; background has 99.1 to 99.4",
        rows=tuple(
            PublishedRow(method, {"dice": (dice, _NAN)})
            for method, dice in (
                *(("vgg16-1", 57.48), ("U-Net-1", 58.52)),
                *(("vgg16-2", 61.92), ("U-Net-2", 63.12)),
            )
        ),
    ),
    "mga2023-classification": PublishedTable(
        note=(
            "Poles et al., BHI 2023, Table I (b), six patients; of what the accuracies are shares "
            "is not said, and they cannot be shares of patients"
        ),
        rows=tuple(
            PublishedRow(method, {"accuracy": (accuracy, _NAN), "f1": (f1, _NAN)})
            for method, accuracy, f1 in (
                *(("ResNet50", 50.72, 50.58), ("AlexNet", 50.91, 53.36)),
                *(("VGG16", 51.21, 51.61), ("MGA", 62.89, 63.24)),
            )
        ),
    ),
}


def published_table(name: str) -> PublishedTable:
    """The table of a paper.

    Args:
        name: ``lotus2024``, ``mga2023-segmentation`` or ``mga2023-classification``.

    Raises:
        ValueError: There is no such table; names those there are.
    """
    if name not in _TABLES:
        raise ValueError(f"no published table {name!r}; expected {', '.join(_TABLES)}")
    return _TABLES[name]
