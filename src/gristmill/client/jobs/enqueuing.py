"""A new job: sent under an idempotency key, so that it is stored once however often it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
from collections.abc import AsyncGenerator
from typing import Any, TypedDict

from gristmill.client.formats import ValueReader
from gristmill.client.jobs.remote_job import RemoteJob
from gristmill.client.jobs.requests import JobRequests, job_in, with_query
from gristmill.client.jobs.uploads import Upload
from gristmill.client.sending import Answer, Sender
from gristmill.errors import ClientError, ConfigurationError, DeadlineExceeded, JobNotFound, StoreError
from gristmill.model.texts import check_key

_VISIBLE = range(0x21, 0x7F)
_LONGEST_KEY = 255


class JobOptions(TypedDict, total=False):
    """How a job runs.

    Attributes:
        priority: 0 (urgent) to 9; 4 by default.
        delay: Seconds until its items are due.
        run_at: When they are: a time with its zone, or seconds of the epoch.
        key: Jobs of one key run one after another, in order.
        keep_results: Whether the values of its items are stored.
        strict: Refuse the whole job at the first item that is not valid.
    """

    priority: int
    delay: float
    run_at: dt.datetime | float
    key: str
    keep_results: bool
    strict: bool


def query_of(options: JobOptions) -> dict[str, Any]:
    """Return the parameters of the request that makes a job."""
    query: dict[str, Any] = {name: value for name, value in options.items() if name != "strict"}
    if "key" in options:
        check_key("key", options["key"])
    at = options.get("run_at")
    if isinstance(at, dt.datetime):
        if at.tzinfo is None:
            raise ConfigurationError("run_at needs a zone: datetime(..., tzinfo=UTC)")
        query["run_at"] = at.isoformat()
    return query


class Enqueuer:
    """Enqueues jobs of one handler.

    An upload may take as long as it moves: its time is up when a piece of it, or the answer, takes *timeout*.

    Args:
        sender: Sends the requests.
        url: Of the handler.
        results: Reads the results.
        timeout: Seconds; None waits without end.
    """

    def __init__(self, sender: Sender, url: str, results: ValueReader, timeout: float | None) -> None:
        self._sender = sender
        self._url = f"{url}/jobs"
        self._requests = JobRequests(sender, None)
        self._about_jobs = JobRequests(sender, timeout)
        self._results = results
        self._timeout = timeout

    async def enqueue(self, upload: Upload, key: str, options: JobOptions) -> RemoteJob[Any]:
        """Send *upload*, and again while that may help; the key makes one job of it."""
        if not 1 <= len(key) <= _LONGEST_KEY or not all(ord(each) in _VISIBLE for each in key):
            raise ConfigurationError(f"an idempotency key is 1 to 255 visible ASCII characters, not {key!r}")
        headers = {
            "content-type": upload.content_type,
            "idempotency-key": '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"',
        }
        if upload.content_encoding:
            headers["content-encoding"] = upload.content_encoding
        if options.get("strict"):
            headers["prefer"] = "handling=strict"
        url = with_query(self._url, query_of(options))
        attempt = 1
        while True:
            try:
                answer = await self._sent(url, headers, upload)
            except (ClientError, StoreError) as error:
                if upload.failures:
                    raise upload.failures[-1] from None
                may = upload.is_repeatable and error.retryable and attempt < self._sender.retry.attempts
                if not may or not self._sender.tokens.take(asyncio.get_running_loop().time()):
                    raise
                delay = self._sender.retry.delay(attempt, random.random())  # noqa: S311 - jitter
                await asyncio.sleep(delay)
                attempt += 1
                continue
            found = job_in(answer)
            return RemoteJob(self._about_jobs, self._url.rsplit("/", 2)[0], found, self._results)

    async def _sent(self, url: str, headers: dict[str, str], upload: Upload) -> Answer:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                body = self._moving(upload.pieces(), limit)
                return await self._requests.send("POST", url, headers=headers, body=body)
        except JobNotFound as error:  # there is no job yet that could be missing: it is the handler
            raise (error.__cause__ if isinstance(error.__cause__, ClientError) else error) from None
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            raise DeadlineExceeded(f"POST {url}: nothing moved for {self._timeout:g} s") from error

    async def _moving(
        self, pieces: AsyncGenerator[bytes, None], limit: asyncio.Timeout
    ) -> AsyncGenerator[bytes, None]:
        """Yield *pieces*; the time counts while the connection has one, and after the last."""
        now = asyncio.get_running_loop().time

        def count(is_sending: bool) -> None:  # noqa: FBT001 - two states of one clock
            if self._timeout is not None:
                with contextlib.suppress(RuntimeError):  # an early answer has ended it
                    limit.reschedule(now() + self._timeout if is_sending else None)

        count(False)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                count(True)
                yield piece
                count(False)
        count(True)
