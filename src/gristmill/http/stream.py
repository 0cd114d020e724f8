"""``POST /v1/{name}/stream``: JSON lines in as they arrive, verdicts out as they are known, then totals.

Memory stays flat however long the stream is: a caller that does not read its
verdicts is not read from either. A caller has to do both at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.http.batch_reply import BatchWriter
from gristmill.http.bench import Bench
from gristmill.http.body import ClientGone
from gristmill.http.headers import NDJSON, RawHeaders, form_of, is_gzipped, read_headers
from gristmill.http.lines import LineSplitter
from gristmill.http.outbox import Outbox
from gristmill.http.problems import NO_STORE, Refused, Reply, StreamedReply, problem, problem_reply
from gristmill.http.strict_json import check_text
from gristmill.http.verdicts import UNPROCESSED
from gristmill.http.watch import Receive
from gristmill.model.outcome import Failed, Ok, failed_from
from gristmill.wire import Counts, Problem, StreamTrailer

_ENCODER = msgspec.json.Encoder()


class StreamEndpoint:
    """Opens streams of one handler."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._writer = BatchWriter(bench.results, bench.verdicts)

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply | StreamedReply:
        """Answer one request: refuse it, or begin to stream."""
        try:
            self._bench.drain.refuse()
            named = read_headers(headers)
            form_of(named.get(b"content-type"), (NDJSON,))
            is_gzipped(named.get(b"content-encoding"), accepted=False)
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        stream = _Stream(self._bench, self._writer, receive)
        return StreamedReply(200, ((b"content-type", NDJSON), NO_STORE), stream.chunks())


class _Stream:
    """One stream: a pump between what comes in and what goes out."""

    def __init__(self, bench: Bench, writer: BatchWriter, receive: Receive) -> None:
        self._bench = bench
        self._writer = writer
        self._receive = receive
        self._outbox = Outbox()
        self._places: dict[int, int] = {}  # of the items under way: number as an item -> number as a line
        self._taken = 0
        self._total = 0
        self._failed = 0
        self._unprocessed = 0
        self._cut_short: Problem | None = None
        self._is_coming = True  # the body, which has not ended yet
        self._reading: asyncio.Timeout | None = None
        self._pump: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._is_gone = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the answer, whole lines at a time; what cuts it short is told in the last one.

        Raises:
            ClientGone: The caller hung up; items that were in no batch yet are dropped.
        """
        self._pump = pump = asyncio.create_task(self._run(), name="gristmill stream")
        pump.add_done_callback(lambda _: self._outbox.close())
        try:
            with self._bench.drain.listening(self._stop_reading):
                while taken := await self._outbox.take():
                    yield taken
            if self._is_gone:
                raise ClientGone
            yield self._last_lines(pump)
        finally:
            tasks = [pump] if self._farewell is None else [pump, self._farewell]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _run(self) -> None:
        async for number, outcome in self._bench.handler.stream(self._items(), ordered=False):
            await self._tell(self._places.pop(number), outcome)

    async def _tell(self, line: int, outcome: Ok[Any] | Failed | Problem) -> None:
        await self._outbox.put(self._verdict(line, outcome))

    def _verdict(self, line: int, outcome: Ok[Any] | Failed | Problem) -> bytes:
        text, reply = self._writer.line(line, outcome)
        if not isinstance(reply.error, UnsetType):
            kind = reply.error.code in UNPROCESSED
            self._unprocessed += kind
            self._failed += not kind
        return text + b"\n"

    async def _items(self) -> AsyncIterator[Any]:
        """Yield the items of the body; lines that are none get their verdict here."""
        async for text in self._texts():
            line = self._total
            self._total += 1
            try:
                item = self._item(text, line)
            except Refused as refused:
                await self._tell(line, refused.problem)
                continue
            self._places[self._taken] = line
            self._taken += 1
            yield item

    def _item(self, text: bytes | None, line: int) -> Any:
        bench = self._bench
        if text is None:
            raise Refused(problem("too_large", limit_bytes=bench.limits.item_bytes))
        check_text(text, bench.limits)
        item = bench.items.decode(text, f"#/{line}")
        error = bench.handler.sort_error(item)
        if error is not None:
            raise Refused(bench.verdicts.problem_of(failed_from(error)))
        if bench.is_too_heavy(item):
            raise Refused(problem("item_too_heavy"))
        return item

    async def _texts(self) -> AsyncIterator[bytes | None]:
        splitter = LineSplitter(self._bench.limits.item_bytes)
        more = True
        while more and self._cut_short is None:
            try:
                async with asyncio.timeout(self._bench.limits.idle_timeout) as self._reading:
                    message = await self._receive()
            except TimeoutError:
                self._cut(self._idle())
                return
            finally:
                self._reading = None
            if message["type"] == "http.disconnect":
                self._leave()
                return
            more = self._is_coming = message.get("more_body", False)
            for text in splitter.feed(message.get("body", b"")):
                yield text
        for text in splitter.finish():
            yield text
        self._farewell = asyncio.create_task(self._watch(), name="gristmill disconnect watch")

    async def _watch(self) -> None:
        if (await self._receive())["type"] == "http.disconnect":  # after a whole body nothing else may come
            self._leave()

    def _leave(self) -> None:
        self._is_gone = True
        if self._pump is not None:
            self._pump.cancel()

    def _cut(self, why: Problem) -> None:
        if self._cut_short is None:
            self._cut_short = why

    def _idle(self) -> Problem:
        detail = f"no byte came for {self._bench.limits.idle_timeout:g} seconds"
        return problem("request_timeout", detail=detail, retryable=True)

    def _stop_reading(self) -> None:
        """Read no more, since the service drains; what was read is answered."""
        if not self._is_coming:
            return
        self._cut(problem("closed", retryable=True))
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    def _last_lines(self, pump: asyncio.Task[None]) -> bytes:
        """Return verdicts for the items that got none, and the totals."""
        error = pump.exception()
        if isinstance(error, Exception):
            failed = failed_from(error)
            self._cut(self._bench.verdicts.problem_of(failed))
            left = b"".join(self._verdict(line, failed) for line in self._places.values())
        else:
            left = b""
        bad = self._failed + self._unprocessed
        counts = Counts(self._total, self._total - bad, self._failed, self._unprocessed)
        trailer = StreamTrailer(
            done=self._cut_short is None,
            errors=bool(bad) or self._cut_short is not None,
            counts=counts,
            error=self._cut_short or UNSET,
        )
        return left + _ENCODER.encode(trailer) + b"\n"
