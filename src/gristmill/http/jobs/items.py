"""From the body of a job to its items, checked one by one, in whatever form they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from msgspec import UnsetType

from gristmill.http.batch_request import Ids, split, too_many_items
from gristmill.http.bench import Bench
from gristmill.http.headers import Form
from gristmill.http.item_count import has_far_too_many_items
from gristmill.http.jobs.csv_rows import Records, RowCodec, header_of
from gristmill.http.lines import LineSplitter
from gristmill.http.problems import Refused, problem
from gristmill.http.strict_json import check_text
from gristmill.model.settling import Failure
from gristmill.queue.intake import Ready
from gristmill.wire import Problem

Entries: TypeAlias = list[Ready | Failure]

_SHOWN = 3  # complaints in a message


class Checker:
    """Checks the items of one body.

    Args:
        bench: Of the handler.
        strict: Whether the first bad item refuses the whole body.
    """

    def __init__(self, bench: Bench, *, strict: bool) -> None:
        self._bench = bench
        self._strict = strict
        self.limits = bench.limits
        self.total = 0

    def entry(self, text: bytes, at: str, line: int | None = None) -> Ready | Failure:
        """Return the item that *text* is, or what is wrong with it.

        Args:
            text: The JSON.
            at: The pointer of the item in the body.
            line: Where it stands in the body, if that has lines.

        Raises:
            Refused: It is a bad one and that is strict, or one too many.
        """
        self.count()
        try:
            return Ready(self._item(text, at), text)
        except Refused as refused:
            return self.failure(refused.problem, line)

    def count(self) -> None:
        """Count an item; raises ``Refused`` (``too_many_items``) at one too many."""
        self.total += 1
        if self.total > self.limits.job_items:
            raise too_many_items(replace(self.limits, batch_items=self.limits.job_items))

    def failure(self, found: Problem, line: int | None) -> Failure:
        """Return what is kept of an item that is none; raises ``Refused`` if that is strict."""
        if self._strict:
            raise Refused(found)
        return Failure(found.code, message_of(found, line), 0)

    def _item(self, text: bytes, at: str) -> Any:
        if len(text) > self.limits.item_bytes:
            raise Refused(problem("too_large", limit_bytes=self.limits.item_bytes))
        check_text(text, self.limits)
        item = self._bench.items.decode(text, at)
        if self._bench.is_too_heavy(item):
            raise Refused(problem("item_too_heavy"))
        return item


def message_of(found: Problem, line: int | None) -> str:
    """Return what is wrong with an item in one line."""
    text = found.title if isinstance(found.detail, UnsetType) else found.detail
    if not isinstance(found.errors, UnsetType):
        text = "; ".join(f"{each.detail} at {each.pointer}" for each in found.errors[:_SHOWN])
    return text if line is None else f"line {line}: {text}"


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
            checker.count()
            return checker.failure(problem("too_large", limit_bytes=checker.limits.item_bytes), line)
        return checker.entry(text.strip(), f"#/{checker.total}", line)


class CsvReading:
    """CSV with a header."""

    def __init__(self, checker: Checker, rows: RowCodec) -> None:
        self._checker = checker
        self._rows = rows
        self._records = Records(checker.limits.item_bytes)
        self._names: Sequence[str] | None = None

    def feed(self, piece: bytes) -> Iterator[Ready | Failure]:
        """Yield the items that *piece* completes."""
        return self._entries(self._records.feed(piece))

    def finish(self) -> Iterator[Ready | Failure]:
        """Yield the last one; raises ``Refused`` if there was no header."""
        yield from self._entries(self._records.finish())
        if self._names is None:
            header_of(None)

    def _entries(self, records: Iterator[bytes | None]) -> Iterator[Ready | Failure]:
        for record in records:
            if self._names is None:
                self._names = header_of(record)
            else:
                yield self._entry(record, self._names)

    def _entry(self, record: bytes | None, names: Sequence[str]) -> Ready | Failure:
        checker, line = self._checker, self._records.line
        at = f"#/{checker.total}"
        if record is None:
            checker.count()
            return checker.failure(problem("too_large", limit_bytes=checker.limits.item_bytes), line)
        try:
            text = self._rows.text(names, record, at)
        except Refused as refused:
            checker.count()
            return checker.failure(refused.problem, line)
        return checker.entry(text, at, line)


def reading(form: Form, bench: Bench, rows: RowCodec, *, strict: bool) -> Reading:
    """Return what reads a body of lines or of CSV."""
    checker = Checker(bench, strict=strict)
    return CsvReading(checker, rows) if form is Form.CSV else LineReading(checker)


async def streamed(pieces: AsyncIterator[bytes], read: Reading) -> AsyncGenerator[Entries, None]:
    """Yield the items of a body in *pieces*."""
    async for piece in pieces:
        yield list(read.feed(piece))
    yield list(read.finish())
