"""A job on another machine."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from gristmill.client.formats import ValueReader
from gristmill.client.jobs.requests import JobRequests, job_in, with_query
from gristmill.client.jobs.streams import event_jobs, lines
from gristmill.client.refusals import item_error
from gristmill.client.unreadable import UNREADABLE
from gristmill.errors import ClientError, DeadlineExceeded, StoreUnavailable, UnusableAnswer
from gristmill.model.outcome import Ok, Outcome, failed_from
from gristmill.wire import JobReply, Problem

R = TypeVar("R")

_LONG_POLL = 20.0
"""Seconds that the server is asked to wait with its answer."""
_LOST_AT_MOST = 5
"""Connections in a row that may break without bringing anything."""
_PAUSE = 1.0


class _Line(msgspec.Struct, kw_only=True):
    index: int = -1
    id: str | None = None
    status: int = 200
    result: Raw = Raw(b"null")
    error: Problem | UnsetType = msgspec.UNSET
    cursor: str = ""


_LINE = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class JobResult(Generic[R]):
    """What became of one item of a job.

    Attributes:
        index: Its place in the job, from 0.
        id: The caller's id of it, if it gave one.
        outcome: ``Ok`` or ``Failed``.
        cursor: Where a reader goes on after it.
        attempts: How often the handler saw it, if it failed.
    """

    index: int
    id: str | None
    outcome: Outcome[R]
    cursor: str
    attempts: int | None = None


class RemoteJob(Generic[R]):
    """One job; made by ``enqueue``, ``client.jobs.get`` and ``client.jobs.list``.

    Attributes:
        id: Its id.
        last: How it stood when it was last seen.
    """

    def __init__(self, requests: JobRequests, base: str, seen: JobReply, results: ValueReader) -> None:
        self.id = seen.id
        self.last = seen
        self._requests = requests
        self._url = f"{base}/jobs/{seen.id}"
        self._results = results

    def __repr__(self) -> str:
        """Show how it stood."""
        return f"<RemoteJob {self.id} {self.last.state}>"

    async def status(self) -> JobReply:
        """Return how it stands.

        Raises:
            JobNotFound: It is there no longer.
        """
        self.last = job_in(await self._requests.send("GET", self._url))
        return self.last

    async def wait(self, timeout: float | None = None) -> JobReply:
        """Return how it stands once it is final; the server is asked to answer then.

        Args:
            timeout: Seconds; None waits without end.

        Raises:
            DeadlineExceeded: It was not final by then.
            JobNotFound: It is there no longer.
        """
        now = asyncio.get_running_loop().time
        deadline = math.inf if timeout is None else now() + timeout
        while True:
            left = deadline - now()
            asked = max(0, math.ceil(min(_LONG_POLL, left)))
            headers = {"prefer": f"wait={asked}"} if asked else {}
            began = now()
            latest = deadline if asked else math.inf  # the last question of all is no long poll
            try:
                answer = await self._requests.send(
                    "GET", self._url, headers=headers, extra=asked, deadline=latest
                )
            except DeadlineExceeded:
                if now() < deadline:
                    raise
            else:
                self.last = job_in(answer)
            if self.last.state.is_final:
                return self.last
            if now() >= deadline:
                raise DeadlineExceeded(f"{self.id} is {self.last.state} after {timeout:g} s")
            if now() - began < min(asked, _PAUSE):  # a server that does not wait, or drains
                await asyncio.sleep(min(_PAUSE, max(0.0, deadline - now())))

    async def events(self) -> AsyncIterator[JobReply]:
        """Yield how it stands whenever that changes, the end included.

        By server-sent events; by long polls where these do not come through.

        Raises:
            JobNotFound: It is there no longer.
            ClientError: The server is away for longer than the retries last.
        """
        last: JobReply | None = None
        async with contextlib.aclosing(event_jobs(self._requests, self._url)) as seen:
            async for found in seen:
                last = self.last = found
                yield found
        while last is None or not last.state.is_final:
            answer = await self._requests.send(
                "GET", self._url, headers={"prefer": "wait=2"}, extra=_LONG_POLL
            )
            self.last = job_in(answer)
            if last is None or _stands(self.last) != _stands(last):
                yield self.last
            elif not self.last.state.is_final:
                await asyncio.sleep(_PAUSE)
            last = self.last

    async def results(
        self,
        *,
        status: Literal["succeeded", "failed", "cancelled"] | None = None,
        after: str | None = None,
        ordered: bool = False,
    ) -> AsyncIterator[JobResult[R]]:
        """Yield the outcomes there are, also while the job runs; a connection that breaks is made again.

        Args:
            status: Only these.
            after: The ``cursor`` of the last one that was read before, in the same order.
            ordered: In the order of the items, up to the first without an outcome; not beside *status*.

        Raises:
            JobNotFound: It is there no longer.
            ClientError: The server is away for longer than the retries last.
        """
        lost = 0
        while True:
            query = {"status": status, "after": after, "ordered": True if ordered else None}
            try:
                async with contextlib.aclosing(
                    lines(self._requests, with_query(f"{self._url}/results", query))
                ) as found:
                    async for text in found:
                        result = self._result(text)
                        lost, after = 0, result.cursor
                        yield result
                return
            except (ClientError, StoreUnavailable) as error:
                lost += 1
                if lost >= _LOST_AT_MOST or not error.retryable:
                    raise
                await asyncio.sleep(_PAUSE)

    def _result(self, text: bytes) -> JobResult[R]:
        try:
            line = _LINE.decode(text)
        except UNREADABLE as error:
            raise UnusableAnswer(f"a line of the results of {self.id} is none: {error}") from error
        if isinstance(line.error, UnsetType):
            try:
                outcome: Outcome[R] = Ok(self._results.read(line.result))
            except UnusableAnswer as error:
                outcome = failed_from(error)
            return JobResult(line.index, line.id, outcome, line.cursor)
        if line.index < 0:
            raise StoreUnavailable(f"the results of {self.id} end early: {line.error.title}")
        attempts = None if isinstance(line.error.attempts, UnsetType) else line.error.attempts
        return JobResult(line.index, line.id, failed_from(item_error(line.error)), line.cursor, attempts)

    async def unprocessed(self) -> AsyncGenerator[Any, None]:
        """Yield the items that no batch has taken, as they were sent: ready to be sent again."""
        async with contextlib.aclosing(lines(self._requests, f"{self._url}/unprocessed")) as found:
            async for text in found:
                try:
                    item = msgspec.json.decode(text)
                except UNREADABLE as error:
                    raise UnusableAnswer(
                        f"a line of the unprocessed items of {self.id} is none: {error}"
                    ) from error
                yield item

    async def cancel(self, items: Sequence[int] | None = None) -> JobReply:
        """Cancel it, or some of its *items* by their places; batches that run go to their end."""
        body = {} if items is None else {"items": list(items)}
        return await self._ask("cancel", body, repeatable=True)

    async def retry(self) -> JobReply:
        """Run its failed items again; ``retried`` says how many."""
        return await self._ask("retry", {"only": "failed"}, repeatable=False)

    async def delete(self) -> None:
        """Delete it, its results and dead items.

        Raises:
            JobNotFinal: It still runs.
            JobNotFound: It is there no longer.
        """
        await self._requests.send("DELETE", self._url, repeatable=False)

    async def _ask(self, what: str, body: Mapping[str, Any], *, repeatable: bool) -> JobReply:
        answer = await self._requests.send(
            "POST",
            f"{self._url}/{what}",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(body),
            repeatable=repeatable,
        )
        self.last = job_in(answer)
        return self.last


def _stands(job: JobReply) -> tuple[Any, ...]:
    return (job.state, job.counts)
