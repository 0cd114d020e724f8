r"""Where a piece of a CSV file may end: after a record, never inside quotes, never between ``\r`` and ``\n``.

Counting quotes is enough where every cell is quoted as a whole or not at all: a line end with an even number
of quotes before it ends a record. (Ge, Li, Eilebrecht, Chandramouli, Kossmann: "Speculative Distributed CSV
Data Parsing for Big Data Analytics", SIGMOD 2019, on what parity can tell and what it cannot.) That they are
so is checked where the text is parsed, by ``check_quotes``; the two together never misread a file without a
word.

Where a quote can only open a cell it tells as much as all quotes before it, so mostly the end of a long piece
is enough to cut it.
"""

from __future__ import annotations

from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.encoding import bom_length
from gristmill.streams.formats.patterns import ENDS_OUTSIDE, FIRST_LINE, LINE, patterns

_QUOTE = b'"'
_STEPS_BACK = 100  # cells with line ends in them; records seldom have as many


def cut(window: bytes | memoryview, dialect: Dialect, *, is_last: bool) -> int | None:
    r"""Return the length of the longest beginning of *window* that ends where a record ends.

    A file cut in this way gives the same records whatever the windows are. Line ends ``\n`` are looked for
    first; a piece ends after a ``\r`` alone only if there is nothing better, as in files whose lines all end
    so.

    Args:
        window: Bytes of the file from the beginning of a record; a ``memoryview`` is copied.
        dialect: Of the file.
        is_last: Whether the file ends with the window. Then all of it is taken, open quotes or not.

    Returns:
        None if no record ends in the window: read on, and ask again with a longer one.
    """
    if is_last:
        return len(window)
    text = bytes(window)  # no copy if it is bytes
    if dialect.quoting == "lenient" and _QUOTE in text:
        return _cut_lenient(text, dialect) or None
    quotes = dialect.quoting != "none" and _QUOTE in text
    return _even_end(text, len(text), quotes=quotes) or None


def cut_tail(tail: bytes, dialect: Dialect) -> int | None:
    """Return the length of the longest beginning of *tail* that ends where a record ends.

    It is where ``cut`` cuts a window that ends with *tail*, whatever is before it, if the quotes of the file
    are where they may be. If they are not, a piece may end within a cell, and ``check_quotes`` says so, as of
    a quote that is never closed.

    Args:
        tail: The end of a window, which is not the end of the file.
        dialect: Of the file.

    Returns:
        None if *tail* does not tell.
    """
    if dialect.quoting == "none":
        return tail.rfind(b"\n") + 1 or None
    found = None if dialect.quoting == "lenient" else patterns(dialect.delimiter).opening.search(tail)
    if found is None:
        return None
    end = _last_outside(tail[found.start() :], b"\n", len(tail) - found.start(), quotes=True) + 1
    return found.start() + end if end else None


def first_record(window: bytes | memoryview, dialect: Dialect, *, is_last: bool) -> tuple[int, int] | None:
    """Return the byte range of the first record that is not blank, its line end included.

    Args:
        window: The beginning of a file; a byte order mark is passed over.
        dialect: Of the file.
        is_last: Whether the file ends with the window.

    Returns:
        None if the window holds no whole record; if it is the last one, the file has none at all.
    """
    at = bom_length(window)
    text = bytes(window)[at:]  # a mark before a quote would hide that it opens a cell
    if dialect.quoting == "none":
        pattern = LINE if is_last else FIRST_LINE
    else:
        pattern = patterns(dialect.delimiter).record if is_last else patterns(dialect.delimiter).first
    start = 0
    while (found := pattern.match(text, start)) and found.end() > start:
        if text[start : found.end()].strip(b"\r\n"):
            return at + start, at + found.end()
        start = found.end()
    return None


def _cut_lenient(text: bytes, dialect: Dialect) -> int:
    """Count quotes where they stand as in RFC 4180, and go record by record from where they do not."""
    scan = patterns(dialect.delimiter)
    end = _end_of(scan.well_formed.match(text))
    sure = _even_end(text, end, quotes=True)
    return sure if end == len(text) else _end_of(scan.whole.match(text, sure))


def _end_of(found: object) -> int:
    return found.end()  # type: ignore[attr-defined,no-any-return]  # these patterns match nothing, at least


def _even_end(text: bytes, end: int, *, quotes: bool) -> int:
    r"""Return the end of the last record in ``text[:end]``, 0 if none ends there.

    Args:
        text: What comes after *end* is looked at only to tell ``\r`` from ``\r\n``.
        end: As far as quotes may be counted.
        quotes: Whether line ends behind an odd number of quotes are no ends.
    """
    found = _last_outside(text, b"\n", end, quotes=quotes)
    if found < 0:
        found = _last_outside(text, b"\r", min(end, len(text) - 1), quotes=quotes)
    return found + 1


def _last_outside(text: bytes, mark: bytes, end: int, *, quotes: bool) -> int:
    """Return where the last *mark* outside of quotes is in ``text[:end]``; -1 if there is none.

    Walks back from the end, quoted cell by quoted cell, so that it costs one count where a record ends near
    it; where none does, a pattern goes over the text from its beginning, which is slow but not as slow.
    """
    if not quotes:
        return text.rfind(mark, 0, end)
    inside = text.count(_QUOTE, 0, end) % 2
    at = end
    for _ in range(_STEPS_BACK):
        found = text.rfind(mark, 0, at)
        if found < 0:
            return -1
        inside ^= text.count(_QUOTE, found, at) % 2
        if not inside:
            return found
        at = text.rfind(_QUOTE, 0, found)  # where the cell that holds the mark opens
        inside = 0
    return _end_of(ENDS_OUTSIDE[mark].match(text, 0, end)) - 1
