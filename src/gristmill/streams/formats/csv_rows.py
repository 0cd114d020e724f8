"""A chunk of CSV becomes rows: fast where all of it is well, record by record where something is not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from gristmill.errors import MalformedInput
from gristmill.streams.formats.cells import all_quoted, csv_cells
from gristmill.streams.formats.csv_records import check_quotes, spans
from gristmill.streams.formats.csv_splitting import split_cells
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
    has_nul = not layout.allow_nul and b"\0" in chunk
    make: Maker = maker(layout.columns, layout.width, layout.extra)
    if not has_nul and (cells := split_cells(chunk, encoding, dialect, layout.width)) is not None:
        return _whole(make(cells))
    try:
        text = chunk.decode(encoding)
    except UnicodeDecodeError:
        _check(chunk, dialect)
        return _repaired(chunk, layout, dialect, encoding, maker)
    cells = _cells(chunk, text, layout, dialect)
    if not has_nul:
        with contextlib.suppress(ValueError):  # a record of another width, or a blank line
            return _whole(make(cells))
    return _sorted_out(text, layout, dialect, maker, {})


def _whole(rows: list[Any]) -> Parsed[Any]:
    return Parsed(rows, range(len(rows)), {}, 0)


def _cells(chunk: bytes, text: str, layout: Layout, dialect: Dialect) -> Iterable[Sequence[str]]:
    if dialect.quoting != "none" and b'"' in chunk:
        found = all_quoted(text, dialect, layout.width)
        if found is not None:
            return found
        _check(chunk, dialect)
    return csv_cells(text, dialect)


def _check(chunk: bytes, dialect: Dialect) -> None:
    """Raise where a quote of *chunk* does not stand as RFC 4180 wants it, if they must."""
    if dialect.quoting != "rfc4180":
        return
    at = check_quotes(chunk, dialect)
    if at is not None:
        raise MalformedInput(
            f"byte {at} of the chunk: quotes are not those of RFC 4180; if the file is meant to be so,"
            " choose the quoting 'lenient' (as Python's csv reads) or 'none'",
            offset=at,
        )


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
    for index, cells in enumerate(csv_cells(text, dialect)):
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
