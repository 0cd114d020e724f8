"""CSV as it comes: records out of physical lines, and rows of strings as items of a handler."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gristmill.codec.items import decode_hook
from gristmill.http.codec import ItemCodec, complaints_of, invalid_item
from gristmill.http.lines import LineSplitter
from gristmill.http.problems import Refused, problem

_CELL = 131_072  # letters; the limit that the module csv begins with


class Records:
    """Joins physical lines to records: a quoted cell may hold line breaks. Linear in what comes.

    Args:
        limit: Bytes of one record.

    Attributes:
        line: The number of the line on which the last record began, from 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines = LineSplitter(limit, blanks=True)
        self._open = bytearray()
        self._is_inside = False
        self._is_skipping = False
        self.line = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the records that *chunk* completes, without blank ones; None for one that was too long."""
        for line in self._lines.feed(chunk):
            yield from self._take(line)

    def finish(self) -> Iterator[bytes | None]:
        """Yield the last record; None if its quotes are never closed, too."""
        for line in self._lines.finish():
            yield from self._take(line)
        if self._is_inside:
            yield None

    def _take(self, line: bytes | None) -> Iterator[bytes | None]:
        if not self._is_inside:
            self.line = self._lines.number
        if line is None:
            self._is_skipping = True
        else:
            self._is_inside = ends_inside_quotes(line, self._is_inside)
            self._open += line + b"\n"
            if len(self._open) > self._limit + 2:
                self._is_skipping = True
        if self._is_skipping:
            self._open.clear()
        if self._is_inside:
            return
        if self._is_skipping:
            yield None
        elif self._open.strip():
            yield bytes(self._open)
        self._open.clear()
        self._is_skipping = False


def ends_inside_quotes(line: bytes, is_inside: bool) -> bool:  # noqa: FBT001 - the state it goes on from
    """Tell whether a quoted cell is open at the end of *line*, if one was or was not at its beginning.

    As the module ``csv`` reads: quotes open a cell at its beginning only, and stand for themselves in others.
    """
    at = 0
    if not is_inside and not line.startswith(b'"'):
        at = line.find(b',"') + 1
        if at == 0:
            return False
    if not is_inside:
        at += 1
    while True:
        closing = line.find(b'"', at)
        if closing < 0:
            return True
        at = closing + 1
        if line[at : at + 1] == b'"':
            at += 1
            continue
        opening = line.find(b',"', at)
        if opening < 0:
            return False
        at = opening + 2


def cells_of(record: bytes) -> list[str]:
    """Return the cells of one *record*.

    Raises:
        Refused: ``malformed_csv``.
    """
    try:
        return _read(record.decode())
    except (UnicodeDecodeError, csv.Error) as error:
        is_text = not isinstance(error, UnicodeDecodeError)
        what = "a cell is too long, or a byte is NUL" if is_text else "not UTF-8"
        raise Refused(problem("malformed_csv", detail=f"the row is not CSV: {what}")) from error


def _read(record: str) -> list[str]:
    cells = next(csv.reader([record]), [])
    if len(record) > _CELL and any(len(cell) > _CELL for cell in cells):
        raise csv.Error  # as csv does by itself, unless somebody in this process has raised its limit
    return cells


def header_of(record: bytes | None) -> list[str]:
    """Return the names of the columns.

    Raises:
        Refused: ``malformed_csv``.
    """
    cells = [] if record is None else cells_of(record.removeprefix(b"\xef\xbb\xbf"))
    names = [name.strip() for name in cells]
    if not names or not all(names) or len(set(names)) < len(names):
        detail = "the first row names the columns, each once"
        raise Refused(problem("malformed_csv", detail=detail))
    return names


class RowCodec:
    """Makes the JSON of an item of a row's strings.

    Args:
        items: Reads the items of the handler.
    """

    def __init__(self, items: ItemCodec) -> None:
        self._typed = items.typed
        self._encoder = msgspec.json.Encoder()

    def text(self, names: Sequence[str], record: bytes, at: str) -> bytes:
        """Return the JSON of the item in *record*.

        Strings become what the item's type wants, as far as msgspec converts them (``strict=False``). An
        empty cell that cannot be that is left out, so that the field's default holds.

        Raises:
            Refused: ``malformed_csv`` or ``invalid_item``, with *at* as the pointer of the item.
        """
        cells = cells_of(record)
        if len(cells) != len(names):
            detail = f"the row has {len(cells)} cells, not {len(names)}"
            raise Refused(problem("malformed_csv", detail=detail))
        row: dict[str, Any] = dict(zip(names, cells, strict=True))
        if self._typed is None or self._typed is Any:
            return self._encoder.encode(row)  # pydantic converts strings itself
        try:
            return self._encoder.encode(self._converted(row))
        except Exception as first:
            filled = {name: cell for name, cell in row.items() if cell}
            if len(filled) < len(row):
                try:
                    return self._encoder.encode(self._converted(filled))
                except Exception:  # noqa: BLE001, S110 - the first error says it of the row as it is
                    pass
            if isinstance(first, ValueError):
                raise Refused(invalid_item(complaints_of(first, at))) from first
            raise

    def _converted(self, row: dict[str, Any]) -> Any:
        return msgspec.convert(row, self._typed, strict=False, dec_hook=decode_hook)
