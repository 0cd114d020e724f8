"""``GET /v1/jobs/{id}/events``: the progress of a job as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from gristmill.errors import QueueError, StoreError
from gristmill.http.drain import Drain
from gristmill.http.jobs.call import Call, problem_of
from gristmill.http.jobs.shown import shown, version_of
from gristmill.http.jobs.watching import Watching
from gristmill.http.problems import NO_STORE, Reply, StreamedReply
from gristmill.model.job import Job
from gristmill.queue.service import Jobs

_ENCODER = msgspec.json.Encoder()
_HEADERS = ((b"content-type", b"text/event-stream"), NO_STORE, (b"x-accel-buffering", b"no"))
_HEARTBEAT_SECONDS = 15.0
_HEARTBEAT = b": heartbeat\n\n"
_RETRY = b"retry: 2000\n\n"


def event(name: str, data: bytes, id: str | None = None) -> bytes:
    r"""Return one event; *data* has no line breaks.

    >>> event("done", b"{}", "v1")
    b'event: done\nid: v1\ndata: {}\n\n'
    """
    numbered = "" if id is None else f"id: {id}\n"
    return f"event: {name}\n{numbered}data: ".encode() + data + b"\n\n"


class EventsEndpoint:
    """Tells of one job until it is final; ids are versions of the job, the same on every server.

    Args:
        jobs: Where it is.
        drain: Ends the streams.
        heartbeat: Seconds of silence after which a comment keeps the connection open.
    """

    def __init__(self, jobs: Jobs, drain: Drain, heartbeat: float = _HEARTBEAT_SECONDS) -> None:
        self._jobs = jobs
        self._drain = drain
        self._heartbeat = heartbeat

    async def __call__(self, call: Call) -> Reply | StreamedReply:
        """Answer one request: 204 to those who have seen the end, which tells browsers to stop."""
        self._drain.refuse()
        job = await self._jobs.get(call.job)
        if job.state.is_final and call.headers.get(b"last-event-id") == version_of(job).encode():
            return Reply(204, (NO_STORE,), b"")
        return StreamedReply(200, _HEADERS, self._events(call, job.id))

    async def _events(self, call: Call, job: str) -> AsyncGenerator[bytes, None]:
        yield _RETRY
        watching = Watching(self._jobs, self._drain, call.receive)
        seen = (call.headers.get(b"last-event-id") or b"").decode("latin-1")
        is_done = False
        try:
            async with aclosing(watching.changes(job, heartbeat=self._heartbeat)) as changes:
                async for found in changes:
                    if found is None:
                        yield _HEARTBEAT
                    elif found.state.is_final:
                        is_done = True
                        yield self._told("done", found, call)
                    elif version_of(found) != seen:
                        yield self._told("progress", found, call)
        except (StoreError, QueueError) as error:
            yield event("error", _ENCODER.encode(problem_of(error)))
            return
        if not is_done:
            yield event("drain", b"{}")

    def _told(self, name: str, job: Job, call: Call) -> bytes:
        body = _ENCODER.encode(shown(job, call.base, self._jobs.retention))
        return event(name, body, version_of(job))
