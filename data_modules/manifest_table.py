"""The table of a manifest as a spreadsheet writes it: what is unambiguous is read, else named."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
SAVE_AS = "save it as 'CSV UTF-8'"
# The mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WORKBOOK = b"PK\x03\x04"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"(\d+),(\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Table:
    """Rows of named cells.

    Attributes:
        header: Names of the columns, in lower case.
        rows: Every row that is not empty: its number, as a spreadsheet counts, and its cells,
            without blanks around them.
        separator: What stands between cells.
    """

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]
    separator: str


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Read a table separated by commas, semicolons or tabs, in UTF-8 or with a byte-order mark.

    Args:
        path: The file.
        columns: Names that its header may have; under the right separator most are found. Capitals
            do not count, nor does whether words are joined by ``_`` or a blank.

    Returns:
        The table.

    Raises:
        ValueError: Another encoding, no text, a column twice, or more cells than columns.
    """
    text = _decoded(path.read_bytes())
    said = _SEPARATOR_LINE.match(text)
    text = text[said.end() :] if said else text
    candidates = [said[1]] if said else [*SEPARATORS]
    try:
        parsed = [_cells(text, separator) for separator in candidates]
    except csv.Error as error:
        raise ValueError(f"found no table ({error}); {SAVE_AS}") from error
    known = [len({*columns}.intersection(_header(rows))) for rows in parsed]
    best = known.index(max(known))
    separator, rows = candidates[best], parsed[best]
    header = _header(rows)
    for name in columns:
        if header.count(name) > 1:
            raise ValueError(f"row 1, column {name}: found {header.count(name)} of them")
    for number, cells in rows[1:]:
        if any(cells[len(header) :]):
            raise ValueError(
                f"row {number}: found {len(cells)} cells, expected {len(header)} as in the header; "
                f"values that hold '{separator}' stand in quotes"
            )
    filled = [
        (number, dict(zip(header, [*cells, *[""] * len(header)], strict=False)))
        for number, cells in rows[1:]
    ]
    return Table(header, filled, separator)


def with_decimal_point(text: str, separator: str) -> str:
    """A number as Python writes it.

    A decimal comma is read as one, unless it may as well divide thousands: three digits behind it,
    in a table whose separator does not say that commas are decimal.

    Args:
        text: A cell.
        separator: Of its table.

    Returns:
        The number with a point; any other text as it is.
    """
    found = _DECIMAL_COMMA.fullmatch(text)
    if found is None:
        return text
    whole, decimals, exponent = found.groups(default="")
    may_be_thousands = len(decimals) == 3 and not whole.startswith("0") and not exponent
    if may_be_thousands and separator != ";":
        return text
    return f"{whole}.{decimals}{exponent}"


def _decoded(content: bytes) -> str:
    if content.startswith(_WORKBOOK):
        raise ValueError(f"found a workbook, expected text; {SAVE_AS}")
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if marked is None and b"\0" in content:
        raise ValueError(f"found UTF-16 without a byte-order mark, or no text; {SAVE_AS}")
    try:
        return content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        name = (marked or "utf-8").removesuffix("-sig").upper()
        raise ValueError(f"row {row}: found bytes that are not {name}; {SAVE_AS}") from error


def _cells(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, with their numbers."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    stripped = ([cell.strip() for cell in row] for row in rows)
    return [(number, row) for number, row in enumerate(stripped, start=1) if any(row)]


def _header(rows: Sequence[tuple[int, Sequence[str]]]) -> list[str]:
    """Names of the columns as the manifest's are written: ``Pixel size µm`` is pixel_size_um."""
    names = rows[0][1] if rows else []
    return ["_".join(re.split(r"[\s_-]+", name.casefold().replace("μ", "u"))) for name in names]
