"""The cells of a text with quotes around all of them, or of another kind than ``csv_splitting`` takes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from gristmill.streams.formats.dialect import QUOTE, Dialect


def csv_cells(text: str, dialect: Dialect) -> Iterable[list[str]]:
    """Return the cells of each record of *text* as the module ``csv`` reads them; none for a blank line."""
    return dialect.reader(io.StringIO(text, newline=""))


def all_quoted(text: str, dialect: Dialect, width: int) -> Iterable[Sequence[str]] | None:
    """Return the cells of each record if every cell of *text* is quoted and has no quote inside.

    Between two quotes is then a cell and what separates cells by turns, and what separates them is a
    delimiter or, after each *width* cells, a line end.

    Returns:
        None if it is not so.
    """
    end = "\r\n" if "\r" in text else "\n"
    count = text.count("\n") + (not text.endswith("\n"))
    if not text.startswith(QUOTE) or text.count(QUOTE) != 2 * width * count:
        return None
    parts = text.split(QUOTE)
    if not parts[-1]:
        parts[-1] = end
    cells, marks = parts[1::2], parts[2::2]
    line_ends = marks[width - 1 :: width]
    if line_ends.count(end) != count or marks.count(dialect.delimiter) != len(marks) - count:
        return None
    return zip(*[iter(cells)] * width, strict=True)
