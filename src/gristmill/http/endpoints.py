"""The two hot routes, one item and a batch of items: headers and a body in, a reply out, no server known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from gristmill.batching.batch import Waiter
from gristmill.batching.batcher import Batcher
from gristmill.batching.context import BatchInfo
from gristmill.batching.reply import Settled
from gristmill.batching.ticket import Ticket
from gristmill.codec.results import UnusableResult
from gristmill.errors import BatchError, ItemTooHeavy, QueueFull
from gristmill.http.batch_headers import BatchHeaders
from gristmill.http.batch_reply import BatchWriter
from gristmill.http.batch_request import BatchReader, BatchRequest
from gristmill.http.bench import Bench
from gristmill.http.body import ClientGone, read_body
from gristmill.http.headers import (
    JSON,
    NDJSON,
    NOTHING_WANTED,
    Form,
    RawHeaders,
    Wanted,
    form_of,
    read_headers,
    wanted,
)
from gristmill.http.problems import Refused, Reply, problem, problem_reply
from gristmill.http.replays import Mark
from gristmill.http.strict_json import check_text
from gristmill.http.watch import Receive, Verdict, Visit, Watch
from gristmill.model.outcome import failed_from

W = TypeVar("W")

_JSON_TYPE = (b"content-type", b"application/json")
_SINGLE = (JSON,)
_BATCH = (JSON, NDJSON)


class SingleEndpoint:
    """``POST /v1/{name}``: the body is one item, the answer is its result.

    Attributes:
        handler: The handler's name.
        max_bytes: The largest body it takes.
        told: Writes what callers are told of their batch.
    """

    route = "single"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.handler = bench.handler.name
        self.max_bytes = bench.limits.item_bytes
        self.told = BatchHeaders()

    @property
    def is_draining(self) -> bool:
        """Whether new requests are refused."""
        return self._bench.drain.is_draining

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply | None:
        """Answer one request; None if the caller hung up.

        Cancelling it drops the item if its batch has not begun.
        """
        watch = self._bench.watch()
        visit = watch.enter(receive)
        try:
            return await self._answer(read_headers(headers), watch, visit)
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        except ClientGone:
            return None
        finally:
            watch.leave(visit)

    async def _answer(self, headers: dict[bytes, bytes], watch: Watch, visit: Visit) -> Reply:
        bench = self._bench
        if bench.drain.is_draining:
            bench.drain.refuse()
        if headers.get(b"content-type") != JSON:
            form_of(headers.get(b"content-type"), _SINGLE)
        body = await read_body(headers, visit, bench.limits, bench.limits.item_bytes)
        mark: Mark | None = None
        if b"idempotency-key" in headers:
            known = bench.replays.look(self.handler, headers, body)
            if isinstance(known, Reply):
                return known
            mark = known
        ticket = self.begin(body, bench.handler.ticket)
        if isinstance(ticket, Reply):
            return ticket
        watch.wait(visit)
        try:
            if mark is not None:
                return await bench.replays.run(mark, self._landed(ticket))
            await ticket
        except asyncio.CancelledError:
            if visit.settle() is Verdict.GONE:
                raise ClientGone from None
            raise
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return self.failed(error, ticket.batch, ticket.queue_seconds)
        return self.answered(ticket.result(), ticket.batch, ticket.queue_seconds)

    async def _landed(self, ticket: Ticket[Any]) -> Reply:
        """Return the reply to the item of *ticket*, whoever waits for it."""
        try:
            await ticket
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return self.failed(error, ticket.batch, ticket.queue_seconds)
        return self.answered(ticket.result(), ticket.batch, ticket.queue_seconds)

    def admit(self, item: Any, waiter: Waiter) -> Batcher:
        """Let *waiter* wait for *item*'s answer, as ``BatchHandler.admit`` does."""
        return self._bench.handler.admit(item, waiter)

    def begin(self, body: bytes | bytearray, enter: Callable[[Any], W]) -> W | Reply:
        """Let the item in *body* wait for its batch.

        Args:
            body: The whole body.
            enter: Given the item, has it wait and returns who waits for it;
                raises as a call of the handler does.

        Returns:
            What *enter* returned, or a reply if the item does not come that far.
        """
        bench = self._bench
        try:
            check_text(body, bench.limits)
            return enter(bench.items.decode(body))
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return self.failed(error)

    def text(self, value: Any) -> bytes:
        """Return the body of a good answer; raises ``UnusableResult`` if *value* can be none."""
        return self._bench.results.encode(value)

    def answered(self, value: Any, batch: BatchInfo | None, queue_seconds: float) -> Reply:
        """Return the reply to an item whose result is *value*."""
        try:
            text = self.text(value)
        except UnusableResult as unusable:
            found = self._bench.verdicts.broken_contract(unusable)
            return problem_reply(found, self.told.pairs(batch, queue_seconds))
        length = (b"content-length", b"%d" % len(text))
        return Reply(200, (_JSON_TYPE, length, *self.told.pairs(batch, queue_seconds)), text)

    def failed(self, error: Exception, batch: BatchInfo | None = None, queue_seconds: float = 0) -> Reply:
        """Return the reply to an item that failed with *error*, in *batch* or before one saw it."""
        bench = self._bench
        pause = bench.retry_after() if isinstance(error, QueueFull) else 1
        found = bench.verdicts.problem_of(failed_from(error), pause)
        return problem_reply(found, self.told.pairs(batch, queue_seconds))


class BatchEndpoint:
    """``POST /v1/{name}/batch``: 200 says that every item has its own verdict.

    Attributes:
        handler: The handler's name.
        max_bytes: The largest body it takes.
    """

    route = "batch"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.handler = bench.handler.name
        self.max_bytes = bench.limits.batch_bytes
        self._reader = BatchReader(bench.items, bench.limits)
        self._writer = BatchWriter(bench.results, bench.verdicts)

    @property
    def is_draining(self) -> bool:
        """Whether new requests are refused."""
        return self._bench.drain.is_draining

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply | None:
        """Answer one request; None if the caller hung up.

        Cancelling it drops the items whose batches have not begun.
        """
        watch = self._bench.watch()
        visit = watch.enter(receive)
        try:
            return await self._answer(read_headers(headers), watch, visit)
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        except ClientGone:
            return None
        finally:
            watch.leave(visit)

    async def _answer(self, headers: dict[bytes, bytes], watch: Watch, visit: Visit) -> Reply:
        bench = self._bench
        bench.drain.refuse()
        lines = form_of(headers.get(b"content-type"), _BATCH) is Form.LINES
        preferred = wanted(headers.get(b"prefer"))
        body = await read_body(headers, visit, bench.limits, bench.limits.batch_bytes)
        mark: Mark | None = None
        if b"idempotency-key" in headers:
            known = bench.replays.look(f"{self.handler}/batch", headers, body)
            if isinstance(known, Reply):
                return known
            mark = known
        answer = self.answer(body, lines=lines, preferred=preferred)
        del body  # while the items wait only they are kept
        watch.wait(visit)
        try:
            return await (answer if mark is None else bench.replays.run(mark, answer))
        except asyncio.CancelledError:
            if visit.settle() is Verdict.GONE:
                raise ClientGone from None
            raise

    async def answer(
        self, body: bytes | bytearray, *, lines: bool = False, preferred: Wanted = NOTHING_WANTED
    ) -> Reply:
        """Answer the batch in *body*, which came whole.

        Cancelling it drops the items whose batches have not begun.

        Args:
            body: JSON.
            lines: It is one item per line.
            preferred: What the caller prefers.

        Raises:
            Refused: No item was taken.
        """
        bench = self._bench
        began = time.perf_counter()
        request = self._reader.read(body, lines=lines)
        del body
        if preferred.strict:
            request.refuse_where(bench.is_too_heavy, problem("item_too_heavy"))
        if preferred.strict and request.refused:
            raise Refused(problem("invalid_item", errors=request.complaints()), *preferred.applied())
        try:
            settled = await self._settle(request)
        except Exception as error:
            pause = bench.retry_after() if isinstance(error, QueueFull) else 1
            raise Refused(bench.verdicts.problem_of(failed_from(error), pause)) from error
        return self._reply(request, settled, preferred, time.perf_counter() - began)

    def _reply(self, request: BatchRequest, settled: Settled, preferred: Wanted, took: float) -> Reply:
        pause = self._bench.retry_after() if settled.errors else 1
        body = self._writer.write(request, settled, took=took, minimal=preferred.minimal, retry_after=pause)
        length = (b"content-length", b"%d" % len(body))
        timing = (b"server-timing", b"total;dur=%.1f" % (took * 1e3))
        return Reply(200, (_JSON_TYPE, length, timing, *preferred.applied()), body)

    async def _settle(self, request: BatchRequest) -> Settled:
        """Answer the valid items of *request*; those that can be in no batch become refused ones."""
        handler = self._bench.handler
        try:
            return await handler.settle(request.items, wait=False)
        except ItemTooHeavy as error:
            self._refuse_where(self._bench.is_too_heavy, error, request)
        except BatchError:
            raise
        except Exception as error:  # noqa: BLE001 - of the handler's key, weigh or dedupe, for some item
            self._refuse_where(lambda item: handler.sort_error(item) is not None, error, request)
        return await self._settle(request)

    def _refuse_where(self, is_bad: Callable[[Any], bool], error: Exception, request: BatchRequest) -> None:
        """Refuse the items that *error* is about; raise it if there are none, so that this ends."""
        count = len(request.items)
        request.refuse_where(is_bad, self._bench.verdicts.problem_of(failed_from(error)))
        if len(request.items) == count:
            raise error


HotEndpoint: TypeAlias = SingleEndpoint | BatchEndpoint


class HotEndpoints:
    """The two of one handler, which its routes and the shortcut share.

    Attributes:
        single: ``POST /v1/{name}``.
        batch: ``POST /v1/{name}/batch``.
    """

    __slots__ = ("batch", "single")

    def __init__(self, bench: Bench) -> None:
        self.single = SingleEndpoint(bench)
        self.batch = BatchEndpoint(bench)
