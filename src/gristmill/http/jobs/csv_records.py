r"""CSV as it comes: records out of a body in pieces, none longer than allowed.

They are the records that ``streams.formats.csv_records.spans`` finds in the whole text. A body cannot be
cut as a file is: its pieces may be single bytes, and its sender hostile. So every byte is looked at once,
whatever the pieces are, and a record that is too long is passed over without being kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from gristmill.streams.formats.dialect import COMMA, Dialect
from gristmill.streams.formats.patterns import FIRST_LINE, LINE, patterns, possessive

_END = re.compile(rb"\r\n|\n|\r")
_QUOTE = b'"'


_WORTH_IT = 256
"""Bytes from which on a pattern finds records faster than steps do."""
_LINES = re.compile(possessive(FIRST_LINE.pattern, b"*"))


def _patterns_of(dialect: Dialect) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what matches one record, and as many whole ones as there are, or none where that is no use."""
    if dialect.quoting == "none":
        return LINE, _LINES
    found = patterns(dialect.delimiter)
    return found.record, found.whole


class _At(Enum):
    """Where in a record its last byte was."""

    BEGINNING = "at the beginning of a cell"
    PLAIN = "in a cell without quotes, or behind a closing one"
    QUOTED = "in a quoted cell"
    QUOTE = "at a quote in a quoted cell: its end, or the first of two"


class Quotes:
    """Follows the quotes of one record after the other, as the module ``csv`` reads them.

    Quotes open a cell at its beginning only, and stand for themselves in others.

    Args:
        dialect: Of the text.

    Attributes:
        is_stray: Whether a quote of the record stands where RFC 4180 allows none.
    """

    def __init__(self, dialect: Dialect = COMMA) -> None:
        self._delimiter = dialect.delimiter.encode()
        self._counts = dialect.quoting != "none"
        self._at = _At.BEGINNING
        self.is_stray = False

    @property
    def is_open(self) -> bool:
        """Whether a quoted cell is open: a line end would be part of it."""
        return self._at is _At.QUOTED

    def begin(self) -> None:
        """Begin a record."""
        self._at = _At.BEGINNING
        self.is_stray = False

    def follow(self, text: bytes) -> None:
        """Go over *text*, the next bytes of the record: of one line, its end included at most."""
        if not text or not self._counts:
            return
        if self._at in (_At.BEGINNING, _At.PLAIN) and _QUOTE not in text:
            self._at = _At.BEGINNING if text.endswith(self._delimiter) else _At.PLAIN
            return
        at = 0
        while at < len(text):
            at = self._step(text, at)

    def _step(self, text: bytes, at: int) -> int:
        """Return how far the text is followed after one more mark in it."""
        if self._at is _At.QUOTED:
            found = text.find(_QUOTE, at)
            if found < 0:
                return len(text)
            self._at = _At.QUOTE
            return found + 1
        byte = text[at : at + 1]
        if byte == _QUOTE and self._at in (_At.BEGINNING, _At.QUOTE):
            self._at = _At.QUOTED
            return at + 1
        if self._at is _At.QUOTE and byte not in (self._delimiter, b"\r", b"\n"):
            self.is_stray = True
        self._at = _At.PLAIN
        return self._pass_over(text, at)

    def _pass_over(self, text: bytes, at: int) -> int:
        """Go to the end of what is not quoted."""
        found = text.find(_QUOTE, at)
        if found < 0:
            if text.endswith(self._delimiter):
                self._at = _At.BEGINNING
            return len(text)
        if text[at:found].endswith(self._delimiter):
            self._at = _At.BEGINNING
            return found
        self.is_stray = True
        return found + 1


class Records:
    """Cuts a body into records. Linear in what comes; holds one record and the piece at hand.

    Args:
        limit: Bytes of one record, without its end.
        dialect: Of the body.

    Attributes:
        line: The number of the line on which the last record began, from 1.
        is_stray: Whether a quote of the last record stands where RFC 4180 allows none, or closes nothing.
    """

    def __init__(self, limit: int, dialect: Dialect = COMMA) -> None:
        self._limit = limit + 2  # a line end may come to it
        self._quotes = Quotes(dialect)
        self._one, self._many = _patterns_of(dialect)
        self._held = bytearray()
        self._is_begun = False
        self._is_skipping = False
        self._ends = 0
        self._return = b""
        self.line = 0
        self.is_stray = False

    def feed(self, piece: bytes) -> Iterator[bytes | None]:
        """Yield the records that *piece* completes, without blank ones; None for one that was too long."""
        text = self._return + piece if self._return else bytes(piece)
        self._return = text[-1:] if text.endswith(b"\r") else b""  # a line feed may follow
        whole = len(text) - len(self._return)
        at = 0
        while at < whole:
            if not self._is_begun and whole - at >= _WORTH_IT:
                end = self._end_of_records(text, at, whole)
                yield from self._at_once(text, at, end)
                at = end
            found = _END.search(text, at, whole)
            if found is None:
                self._keep(text[at:whole])
                return
            yield from self._line(text[at : found.end()])
            at = found.end()

    def _end_of_records(self, text: bytes, start: int, end: int) -> int:
        found = self._many.match(text, start, end)
        return found.end() if found else start

    def _at_once(self, text: bytes, start: int, end: int) -> Iterator[bytes | None]:
        """Yield the records of ``text[start:end]``, which holds nothing else."""
        for found in self._one.finditer(text, start, end):
            record = found[0]
            if not record:
                return
            self.line = self._ends + 1
            self._ends += len(_END.findall(record)) if _QUOTE in record else 1
            if len(record) > self._limit:
                self._quotes.begin()
                self._quotes.follow(record)
                self.is_stray = self._quotes.is_stray
                yield None
            elif record.strip(b"\r\n"):
                yield record

    def finish(self) -> Iterator[bytes | None]:
        """Yield the last record, its quotes open or not."""
        if self._return:
            yield from self._line(self._return)
        if self._is_begun:
            is_open = self._quotes.is_open
            if not is_open:
                self._held += b"\n"
            self.is_stray = self._quotes.is_stray or is_open
            yield from self._taken()

    def _line(self, text: bytes) -> Iterator[bytes | None]:
        self._keep(text)
        self._ends += 1
        if not self._quotes.is_open:
            self.is_stray = self._quotes.is_stray
            yield from self._taken()

    def _keep(self, text: bytes) -> None:
        if not text:
            return
        if not self._is_begun:
            self._is_begun = True
            self._quotes.begin()
            self.line = self._ends + 1
        self._quotes.follow(text)
        if self._is_skipping or len(self._held) + len(text) > self._limit:
            self._is_skipping = True
            self._held.clear()
        else:
            self._held += text

    def _taken(self) -> Iterator[bytes | None]:
        record = None if self._is_skipping else bytes(self._held)
        self._held.clear()
        self._is_begun = self._is_skipping = False
        if record is None or record.strip(b"\r\n"):
            yield record
