"""What a job holds, as JSON lines: its results while it runs, and its items that no batch has taken."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec
from msgspec import UNSET

from gristmill.errors import QueueError, StoreError
from gristmill.http.headers import NDJSON
from gristmill.http.jobs.call import Call, problem_of
from gristmill.http.jobs.query import invalid_option
from gristmill.http.problems import NO_STORE, Statuses, StreamedReply, problem
from gristmill.model.lease import ResultKind
from gristmill.model.settling import Failure
from gristmill.queue.reading import ItemResult, read_cursor, read_place
from gristmill.queue.service import Jobs
from gristmill.wire import Problem, ResultLine

_ENCODER = msgspec.json.Encoder()
_AT_ONCE = 65536  # bytes that go together
_SERVER_ERROR = 500


class ResultWriter:
    """Writes outcomes of items of jobs.

    Args:
        statuses: Which code has which status.
    """

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    def line(self, found: ItemResult) -> bytes:
        """Return the line of one outcome."""
        line = ResultLine(index=found.place, id=UNSET if found.id is None else found.id, cursor=found.cursor)
        if found.kind is ResultKind.SUCCEEDED:
            line.result = one_line(bytes(found.value or b"null"))
        else:
            error = self._cancelled() if found.failure is None else self._failed(found.failure)
            line.status = _SERVER_ERROR if isinstance(error.status, msgspec.UnsetType) else error.status
            error.status = UNSET
            line.error = error
        return _ENCODER.encode(line) + b"\n"

    def _failed(self, failure: Failure) -> Problem:
        status = self._statuses.of(failure.code, retryable=False)
        return problem(failure.code, detail=failure.message or None, status=status, attempts=failure.attempts)

    def _cancelled(self) -> Problem:
        detail = "the item was cancelled before it ran"
        return problem("cancelled", detail=detail, retryable=True)


def one_line(text: bytes) -> msgspec.Raw:
    """Return JSON without line breaks."""
    return msgspec.Raw(msgspec.json.format(text, indent=-1) if b"\n" in text or b"\r" in text else text)


class JobContents:
    """``GET /v1/jobs/{id}/results`` and ``.../unprocessed``."""

    def __init__(self, jobs: Jobs, statuses: Statuses) -> None:
        self._jobs = jobs
        self._writer = ResultWriter(statuses)

    async def results(self, call: Call) -> StreamedReply:
        """Answer with the results there are."""
        job, query = call.job, call.query
        ordered = query.truth("ordered", default=False)
        after, kind = query.text("after", 64), query.choice("status", ResultKind)
        if ordered and kind is not None:
            raise invalid_option("ordered", "not given beside status")
        if after is not None:
            try:
                read_place(after) if ordered else read_cursor(after)
            except ValueError as error:
                raise invalid_option("after", "the cursor of a line that was read before") from error
        await self._jobs.get(job)
        found = self._jobs.results(job, ordered=ordered, after=after, kind=kind)
        return _lines(self._result_lines(found))

    async def _result_lines(self, found: AsyncIterator[ItemResult]) -> AsyncGenerator[bytes, None]:
        async for each in found:
            yield self._writer.line(each)

    async def unprocessed(self, call: Call) -> StreamedReply:
        """Answer with the items that wait, as they came: ready to be sent again."""
        job = call.job
        await self._jobs.get(job)
        return _lines(self._item_lines(self._jobs.unprocessed(job)))

    async def _item_lines(self, found: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for text in found:
            yield bytes(one_line(text)) + b"\n"


def _lines(lines: AsyncGenerator[bytes, None]) -> StreamedReply:
    return StreamedReply(200, ((b"content-type", NDJSON), NO_STORE), _together(lines))


async def _together(lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield *lines*, many at a time; where the store fails in between, the last one says so."""
    held: list[bytes] = []
    size = 0
    async with aclosing(lines):
        try:
            async for line in lines:
                held.append(line)
                size += len(line)
                if size >= _AT_ONCE:
                    yield b"".join(held)
                    held, size = [], 0
        except (StoreError, QueueError) as error:
            held.append(_ENCODER.encode({"error": problem_of(error)}) + b"\n")
    if held:
        yield b"".join(held)
