"""The two hot routes, one item and a batch of items: headers and a body in, a reply out, no server known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from gristmill.batching.context import BatchInfo
from gristmill.batching.reply import Settled
from gristmill.errors import BatcherClosed, ItemTooHeavy, QueueFull
from gristmill.http.batch_reply import BatchWriter
from gristmill.http.batch_request import BatchReader, BatchRequest
from gristmill.http.bench import Bench
from gristmill.http.body import ClientGone, read_body
from gristmill.http.codec import UnusableResult
from gristmill.http.headers import JSON, NDJSON, Form, RawHeaders, Wanted, form_of, read_headers, wanted
from gristmill.http.problems import Refused, Reply, problem, problem_reply
from gristmill.http.strict_json import check_text
from gristmill.http.watch import Receive, Verdict, Watch
from gristmill.model.outcome import failed_from

_JSON_TYPE = (b"content-type", b"application/json")
_SINGLE = (JSON,)
_BATCH = (JSON, NDJSON)


class SingleEndpoint:
    """``POST /v1/{name}``: the body is one item, the answer is its result."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply | None:
        """Answer one request; None if the caller hung up.

        Cancelling it drops the item if its batch has not begun.
        """
        bench = self._bench
        try:
            bench.drain.refuse()
            named = read_headers(headers)
            form_of(named.get(b"content-type"), _SINGLE)
            watch = bench.watch()
            body = await read_body(named, receive, watch, bench.limits, bench.limits.item_bytes)
            check_text(body, bench.limits)
            item = bench.items.decode(body)
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        except ClientGone:
            return None
        return await self._answer(item, receive, watch)

    async def _answer(self, item: Any, receive: Receive, watch: Watch) -> Reply | None:
        bench = self._bench
        try:
            ticket = bench.handler.ticket(item)
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return self._failed(error, None)
        visit = watch.waiting(receive)
        try:
            value = await ticket
        except asyncio.CancelledError:
            if visit.settle() is Verdict.GONE:
                return None
            raise
        except Exception as error:  # noqa: BLE001 - it is this caller's answer
            return self._failed(error, ticket.batch)
        finally:
            watch.leave(visit)
        try:
            body = bench.results.encode(value)
        except UnusableResult as error:
            return problem_reply(bench.verdicts.broken_contract(error), _told(ticket.batch))
        length = (b"content-length", b"%d" % len(body))
        return Reply(200, (_JSON_TYPE, length, *_told(ticket.batch)), body)

    def _failed(self, error: Exception, batch: BatchInfo | None) -> Reply:
        bench = self._bench
        pause = bench.retry_after() if isinstance(error, QueueFull) else 1
        return problem_reply(bench.verdicts.problem_of(failed_from(error), pause), _told(batch))


def _told(batch: BatchInfo | None) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers that say what batching cost the caller; none for an item that no batch saw."""
    if batch is None:
        return ()
    timing = b"queue;dur=%.1f, handler;dur=%.1f" % (batch.queue_seconds * 1e3, batch.handler_seconds * 1e3)
    return (
        (b"server-timing", timing),
        (b"batch-size", b"%d" % batch.size),
        (b"batch-id", batch.id.encode()),
    )


class BatchEndpoint:
    """``POST /v1/{name}/batch``: 200 says that every item has its own verdict."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._reader = BatchReader(bench.items, bench.limits)
        self._writer = BatchWriter(bench.results, bench.verdicts)

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply | None:
        """Answer one request; None if the caller hung up.

        Cancelling it drops the items whose batches have not begun.
        """
        bench = self._bench
        try:
            bench.drain.refuse()
            named = read_headers(headers)
            form = form_of(named.get(b"content-type"), _BATCH)
            watch = bench.watch()
            body = await read_body(named, receive, watch, bench.limits, bench.limits.batch_bytes)
            began = time.perf_counter()
            request = self._reader.read(body, lines=form is Form.LINES)
            del body
            preferred = wanted(named.get(b"prefer"))
            if preferred.strict and request.refused:
                found = problem("invalid_item", errors=request.complaints())
                return problem_reply(found, preferred.applied())
            return await self._answer(request, preferred, receive, watch, began)
        except Refused as refused:
            return problem_reply(refused.problem, refused.headers)
        except ClientGone:
            return None

    async def _answer(
        self, request: BatchRequest, preferred: Wanted, receive: Receive, watch: Watch, began: float
    ) -> Reply | None:
        bench = self._bench
        visit = watch.waiting(receive)
        try:
            settled = await self._settle(request)
        except asyncio.CancelledError:
            if visit.settle() is Verdict.GONE:
                return None
            raise
        except Exception as error:  # noqa: BLE001 - no item was taken: it is the answer to the whole request
            pause = bench.retry_after() if isinstance(error, QueueFull | BatcherClosed) else 1
            return problem_reply(bench.verdicts.problem_of(failed_from(error), pause))
        finally:
            watch.leave(visit)
        took = time.perf_counter() - began
        pause = bench.retry_after() if settled.errors else 1
        body = self._writer.write(request, settled, took=took, minimal=preferred.minimal, retry_after=pause)
        length = (b"content-length", b"%d" % len(body))
        timing = (b"server-timing", b"total;dur=%.1f" % (took * 1e3))
        return Reply(200, (_JSON_TYPE, length, timing, *preferred.applied()), body)

    async def _settle(self, request: BatchRequest) -> Settled:
        """Answer the valid items of *request*; those no batch can hold become refused ones."""
        handler = self._bench.handler
        try:
            return await handler.settle(request.items, wait=False)
        except ItemTooHeavy as error:
            heavy = self._bench.verdicts.problem_of(failed_from(error))
            request.refuse_where(self._bench.is_too_heavy, heavy)
            return await handler.settle(request.items, wait=False)
