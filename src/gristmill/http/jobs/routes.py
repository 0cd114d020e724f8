"""The routes of one job, and the list of them."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gristmill.errors import JobNotFound
from gristmill.http.describe import json_reply
from gristmill.http.drain import Drain
from gristmill.http.jobs.call import Call
from gristmill.http.jobs.query import invalid_option
from gristmill.http.jobs.shown import is_known, job_reply, shown, version_of
from gristmill.http.jobs.small_body import read_options
from gristmill.http.jobs.watching import Watching
from gristmill.http.problems import NO_STORE, Reply
from gristmill.http.settings import HttpLimits
from gristmill.model.job import JobState
from gristmill.queue.service import Jobs
from gristmill.wire import JobList

_ENCODER = msgspec.json.Encoder()
_MOST_LISTED = 1000

Place = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class CancelOptions(Struct, forbid_unknown_fields=True):
    """The body of a cancel: which items, by their places; all without it, but not by a null."""

    items: list[Place] | UnsetType = UNSET


class RetryOptions(Struct, forbid_unknown_fields=True):
    """The body of a retry."""

    only: Literal["failed"] = "failed"


class JobRoutes:
    """What may be asked of jobs.

    Args:
        jobs: Where they are.
        limits: What one request may cost.
        drain: Ends what waits.
    """

    def __init__(self, jobs: Jobs, limits: HttpLimits, drain: Drain) -> None:
        self._jobs = jobs
        self._limits = limits
        self._drain = drain

    async def list(self, call: Call) -> Reply:
        """``GET /v1/jobs``: newest first."""
        query = call.query
        try:
            page = await self._jobs.list(
                handler=query.text("handler"),
                state=query.choice("state", JobState),
                cursor=query.text("cursor", 100),
                limit=query.whole("limit", 1, _MOST_LISTED, 100),
            )
        except ValueError as error:
            raise invalid_option("cursor", "that of a page that was read before") from error
        retention = self._jobs.retention
        found = JobList([shown(job, call.base, retention) for job in page.jobs], page.cursor or UNSET)
        return json_reply(200, _ENCODER.encode(found), NO_STORE)

    async def show(self, call: Call) -> Reply:
        """``GET /v1/jobs/{id}``: at once, or when it is final under ``Prefer: wait=N``."""
        preferred = call.preferred
        if preferred.wait is None:
            job = await self._jobs.get(call.job)
            applied = []
        else:
            seconds = min(preferred.wait, self._limits.longest_wait)
            job = await Watching(self._jobs, self._drain, call.receive).final(call.job, seconds)
            applied = [(b"preference-applied", b"wait=%d" % preferred.wait)]
        if is_known(version_of(job), call.headers.get(b"if-none-match")):
            return Reply(304, ((b"etag", b'"%b"' % version_of(job).encode()), *applied), b"")
        return job_reply(200, shown(job, call.base, self._jobs.retention), job, time.time(), *applied)

    async def cancel(self, call: Call) -> Reply:
        """``POST /v1/jobs/{id}/cancel``: batches that run end; what waits is cancelled."""
        job = call.job
        options = await read_options(call, CancelOptions, self._limits, self._drain)
        items = None if isinstance(options.items, UnsetType) else options.items
        if not await self._jobs.cancel(job, items=items):
            raise JobNotFound(f"there is no job {job}")
        return await self._shown(call, job)

    async def retry(self, call: Call) -> Reply:
        """``POST /v1/jobs/{id}/retry``: the failed items run again."""
        job = call.job
        await read_options(call, RetryOptions, self._limits, self._drain)
        return await self._shown(call, job, retried=await self._jobs.retry(job))

    async def _shown(self, call: Call, job_id: str, *, retried: int | None = None) -> Reply:
        job = await self._jobs.get(job_id)
        body = shown(job, call.base, self._jobs.retention)
        if retried is not None:
            body.retried = retried
        return job_reply(202, body, job, time.time())

    async def delete(self, call: Call) -> Reply:
        """``DELETE /v1/jobs/{id}``: a final job, its results and dead items."""
        if not await self._jobs.delete(call.job):
            raise JobNotFound(f"there is no job {call.job}")
        return Reply(204, (), b"")
