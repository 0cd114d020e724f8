"""From the body of a job to its items, checked one by one, in whatever form they come."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import replace
from typing import Protocol

from gristmill.http.batch_request import Ids, split, too_many_items
from gristmill.http.bench import Bench
from gristmill.http.headers import Form
from gristmill.http.item_count import has_far_too_many_items
from gristmill.http.jobs.checking import Checker, Entries
from gristmill.http.jobs.csv_rows import CsvOptions, RowCodec
from gristmill.http.jobs.row_reading import RowReading
from gristmill.http.lines import LineSplitter
from gristmill.http.problems import problem
from gristmill.http.strict_json import check_text
from gristmill.model.settling import Failure
from gristmill.queue.intake import Ready
from gristmill.wire import Problem

_SPACE = b" \t\r"


def one_item(body: bytes | bytearray, bench: Bench) -> Entries:
    """Return the item that *body* is; raises ``Refused`` if it is none."""
    return [Checker(bench, strict=True).entry(bytes(body), "#")]


def from_json(body: bytes | bytearray, bench: Bench, *, strict: bool) -> tuple[Entries, Ids | None]:
    """Return the items of *body*, an envelope or an array, and their ids; None if none has one.

    Raises:
        Refused: It is neither.
    """
    limits = replace(bench.limits, batch_items=bench.limits.job_items)
    check_text(body, limits)
    if has_far_too_many_items(body, limits.batch_items):
        raise too_many_items(limits)
    checker = Checker(bench, strict=strict)
    found, ids, _ = split(body, limits)
    entries = [
        checker.failure(raw, None) if isinstance(raw, Problem) else checker.entry(bytes(raw), at)
        for raw, at in found
    ]
    return entries, ids


class Reading(Protocol):
    """Reads a body bit by bit."""

    def feed(self, piece: bytes) -> Iterator[Ready | Failure]:
        """Yield the items that *piece* completes."""

    def finish(self) -> Iterator[Ready | Failure]:
        """Yield what is left at the end."""


class LineReading:
    """JSON lines."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._lines = LineSplitter(checker.limits.item_bytes)

    def feed(self, piece: bytes) -> Iterator[Ready | Failure]:
        """Yield the items that *piece* completes."""
        return map(self._entry, self._lines.feed(piece))

    def finish(self) -> Iterator[Ready | Failure]:
        """Yield the last one."""
        return map(self._entry, self._lines.finish())

    def _entry(self, text: bytes | None) -> Ready | Failure:
        checker, line = self._checker, self._lines.number
        if text is None:
            return checker.too_large(line)
        if line == 1:
            text = text.removeprefix(codecs.BOM_UTF8)
        if not text.isascii() and (found := not_text(text)) is not None:
            return checker.bad(found, line)
        return checker.entry(text.strip(_SPACE), f"#/{checker.total}", line)


def not_text(line: bytes) -> Problem | None:
    """Return what is wrong with a *line* that is not UTF-8, as ``parse_lines`` says it of a file's."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return problem("bad_encoding", detail="the line is not UTF-8")
    return None


def reading(
    form: Form, bench: Bench, rows: RowCodec, *, strict: bool, options: CsvOptions | None = None
) -> Reading:
    """Return what reads a body of lines or, with *options* as it is written, of CSV."""
    checker = Checker(bench, strict=strict)
    if form is Form.LINES:
        return LineReading(checker)
    return RowReading(checker, rows, CsvOptions() if options is None else options)


async def streamed(pieces: AsyncIterator[bytes], read: Reading) -> AsyncGenerator[Entries, None]:
    """Yield the items of a body in *pieces*."""
    async for piece in pieces:
        yield list(read.feed(piece))
    yield list(read.finish())
