"""A chunk of CSV becomes rows: fast where all of it is well, record by record where something is not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import repeat
from typing import Any

from gristmill.errors import MalformedInput
from gristmill.streams.formats.csv_records import check_quotes, spans
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.parsed import BadRow, Parsed
from gristmill.streams.formats.row_makers import Maker, dict_maker, tuple_maker


def parse_rows(
    chunk: bytes, layout: Layout, dialect: Dialect, encoding: str = "utf-8"
) -> Parsed[dict[str, str]]:
    """Return the rows of *chunk* as dicts of strings.

    A record with too many or too few cells (``column_count``), with bytes that are not text
    (``bad_encoding``) or with NUL bytes (``nul_byte``) spoils itself alone.

    Args:
        chunk: Whole records without the header, as ``cut`` cuts them.
        layout: The columns.
        dialect: Of the file.
        encoding: Of the file; one that ``check_encoding`` lets pass.

    Raises:
        MalformedInput: Quotes stand where RFC 4180 allows none, so where records end is not known;
            its ``offset`` is in the chunk.
    """
    return _parsed(chunk, layout, dialect, encoding, dict_maker)


def parse_cells(
    chunk: bytes, layout: Layout, dialect: Dialect, encoding: str = "utf-8"
) -> Parsed[tuple[str, ...]]:
    """Return the rows of *chunk* as tuples, in the order of ``layout.columns``, ``layout.extra`` after them.

    As ``parse_rows`` otherwise, and faster, the more so the fewer columns are selected.
    """
    return _parsed(chunk, layout, dialect, encoding, tuple_maker)


def _parsed(chunk: bytes, layout: Layout, dialect: Dialect, encoding: str, maker: Any) -> Parsed[Any]:
    quotes_are_plain = _check(chunk, dialect)
    try:
        text = chunk.decode(encoding)
    except UnicodeDecodeError:
        return _repaired(chunk, layout, dialect, encoding, maker)
    if layout.allow_nul or b"\0" not in chunk:
        make: Maker = maker(layout.columns, layout.width, layout.extra)
        try:
            rows = make(_cells(text, dialect, quotes_are_plain=quotes_are_plain))
        except ValueError:  # a record of another width, or a blank line
            pass
        else:
            return Parsed(rows, range(len(rows)), {}, 0)
    return _sorted_out(text, layout, dialect, maker, {})


def _check(chunk: bytes, dialect: Dialect) -> bool:
    """Tell whether every quote of *chunk* stands as RFC 4180 wants it; raise where they must."""
    if dialect.quoting == "none":
        return False
    at = check_quotes(chunk, dialect)
    if at is not None and dialect.quoting == "rfc4180":
        raise MalformedInput(
            f"byte {at} of the chunk: quotes are not those of RFC 4180; if the file is meant to be so,"
            " choose the quoting 'lenient' (as Python's csv reads) or 'none'",
            offset=at,
        )
    return at is None


def _cells(text: str, dialect: Dialect, *, quotes_are_plain: bool) -> Iterable[list[str]]:
    """Return the cells of each record of *text*.

    ``str.split`` is twice as fast as the module ``csv`` and does the same where there are no quotes, no blank
    lines, and all lines end alike. Where few lines have quotes, those are read by ``csv``, the others split.
    """
    end = _line_end(text)
    if end is not None and not text.startswith(end) and end + end not in text:
        lines = text.split(end)
        if not lines[-1]:
            lines.pop()  # what is after the last line end
        if dialect.quoting == "none" or '"' not in text:
            return map(str.split, lines, repeat(dialect.delimiter))
        if quotes_are_plain and (found := _few_quoted(lines, dialect)) is not None:
            return found
    return dialect.reader(io.StringIO(text, newline=""))


def _line_end(text: str) -> str | None:
    """Return what all lines of *text* end with; None if they do not end alike."""
    if "\r" not in text:
        return "\n"
    pairs = text.count("\r\n")
    return "\r\n" if pairs == text.count("\r") == text.count("\n") else None


def _few_quoted(lines: list[str], dialect: Dialect) -> list[list[str]] | None:
    """Return the cells of *lines*; None if most have quotes, or if a cell goes over the end of a line."""
    quoted = [line for line in lines if '"' in line]
    if len(quoted) * 2 > len(lines):
        return None
    strict = Dialect(dialect.delimiter)
    try:
        rows = list(strict.reader(quoted))
    except csv.Error:  # the last of them opens a cell that another line closes
        return None
    if len(rows) < len(quoted):  # csv has joined lines, which may not be neighbours
        return None
    following = iter(rows).__next__
    delimiter = dialect.delimiter
    return [following() if '"' in line else line.split(delimiter) for line in lines]


def _repaired(chunk: bytes, layout: Layout, dialect: Dialect, encoding: str, maker: Any) -> Parsed[Any]:
    """Parse a chunk in which bytes are not text: a placeholder stands for each record that has some."""
    bad: dict[int, BadRow] = {}
    texts: list[str] = []
    for index, (start, end) in enumerate(spans(chunk, dialect)):
        try:
            texts.append(chunk[start:end].decode(encoding))
        except UnicodeDecodeError as error:
            byte = chunk[start + error.start]
            message = f"byte {error.start} of the record, 0x{byte:02x}, is not {encoding}"
            bad[index] = BadRow("bad_encoding", message)
            texts.append("?\n")  # one record, whatever stands before and after
    return _sorted_out("".join(texts), layout, dialect, maker, bad)


def _sorted_out(
    text: str, layout: Layout, dialect: Dialect, maker: Any, known: dict[int, BadRow]
) -> Parsed[Any]:
    """Return the rows of *text*, looked at one by one."""
    has_nul = not layout.allow_nul and "\0" in text
    fitted: list[list[str]] = []
    places: list[int] = []
    bad: dict[int, BadRow] = {}
    blank = 0
    for index, cells in enumerate(dialect.reader(io.StringIO(text, newline=""))):
        if index in known:
            bad[index] = known[index]
        elif not cells:
            blank += 1
        elif has_nul and any("\0" in cell for cell in cells):
            bad[index] = BadRow("nul_byte", "a cell has a NUL byte: the file is damaged, or is no text")
        elif (row := layout.fitted(cells)) is None:
            message = f"the record has {len(cells)} cells, not {layout.width}"
            bad[index] = BadRow("column_count", message)
        else:
            fitted.append(row)
            places.append(index)
    columns, width = layout.columns, layout.width
    if layout.extra is not None:
        columns, width = (*columns, (layout.extra, width)), width + 1
    return Parsed(maker(columns, width)(fitted), places, bad, blank)
