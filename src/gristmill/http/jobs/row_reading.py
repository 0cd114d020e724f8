"""A body of CSV bit by bit: blocks of whole records, parsed as ``gristmill run`` parses those of a file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from gristmill.errors import MalformedInput
from gristmill.http.jobs.checking import Checker
from gristmill.http.jobs.csv_records import Records
from gristmill.http.jobs.csv_rows import CsvOptions, RowCodec, stray_quote
from gristmill.http.problems import problem
from gristmill.model.settling import Failure
from gristmill.queue.intake import Ready
from gristmill.streams.formats.csv_rows import parse_rows
from gristmill.streams.formats.layout import Layout
from gristmill.wire import Problem

_BLOCK = 1 << 16
"""Bytes of records that are parsed at once."""


class _Block:
    """Records one after the other: where each begins, and on which line of the body."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.starts: list[int] = []
        self.lines: list[int] = []

    def add(self, record: bytes, line: int) -> None:
        self.starts.append(len(self.text))
        self.lines.append(line)
        self.text += record

    def line_at(self, offset: int) -> int:
        """Return the line on which the record with the byte at *offset* begins."""
        return self.lines[max(0, bisect_right(self.starts, offset) - 1)]


class RowReading:
    """Reads CSV with a header.

    Args:
        checker: Of the body.
        rows: Makes items of rows.
        options: How the body is written.
    """

    def __init__(self, checker: Checker, rows: RowCodec, options: CsvOptions) -> None:
        self._checker = checker
        self._rows = rows
        self._options = options
        self._records = Records(checker.limits.item_bytes, options.dialect)
        self._layout: Layout | None = None

    def feed(self, piece: bytes) -> Iterator[Ready | Failure]:
        """Yield the items that *piece* completes."""
        return self._entries(self._records.feed(piece))

    def finish(self) -> Iterator[Ready | Failure]:
        """Yield the last ones; raises ``Refused`` if there was no header."""
        yield from self._entries(self._records.finish())
        if self._layout is None:
            self._options.header(None)

    def _entries(self, records: Iterator[bytes | None]) -> Iterator[Ready | Failure]:
        block = _Block()
        for record in records:
            line = self._records.line
            if self._layout is None:
                self._layout = self._options.header(record)
            elif record is None:
                yield from self._parsed(block, self._layout)
                block = _Block()
                yield self._passed_over(line)
            else:
                block.add(record, line)
                if len(block.text) >= _BLOCK:
                    yield from self._parsed(block, self._layout)
                    block = _Block()
        if self._layout is not None:
            yield from self._parsed(block, self._layout)

    def _passed_over(self, line: int) -> Failure:
        """Count a record that was too long; nobody looked at it but for its quotes."""
        if self._records.is_stray and self._options.dialect.quoting == "rfc4180":
            raise stray_quote(line)  # so where it ends is not known: it may have swallowed others
        return self._checker.too_large(line)

    def _parsed(self, block: _Block, layout: Layout) -> Iterator[Ready | Failure]:
        if not block.lines:
            return
        options = self._options
        try:
            found = parse_rows(bytes(block.text), layout, options.dialect, options.encoding)
        except MalformedInput as error:
            raise stray_quote(block.line_at(error.offset)) from error
        texts = self._rows.texts(found.rows)
        place = dict(zip(found.records, range(len(found.rows)), strict=True))
        for number, line in enumerate(block.lines):
            at = f"#/{self._checker.total}"
            bad = found.bad.get(number)
            text: bytes | Problem
            if bad is not None:
                text = problem(bad.code, detail=bad.message)
            elif texts is not None:
                text = texts[place[number]]
            else:
                text = self._rows.text(found.rows[place[number]], at)
            yield self._entry(text, at, line)

    def _entry(self, text: bytes | Problem, at: str, line: int) -> Ready | Failure:
        if isinstance(text, Problem):
            return self._checker.bad(text, line)
        return self._checker.entry(text, at, line)
