"""A job as HTTP shows it: its JSON, its version, and when to look again. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

import msgspec

from gristmill.http.describe import json_reply
from gristmill.http.problems import Reply
from gristmill.model.job import Job
from gristmill.wire import JobLinks, JobReply

_ENCODER = msgspec.json.Encoder()
_LONGEST_PAUSE = 60
_LAST = 253_402_300_799.0  # what is kept for ever expires then


def at(moment: float) -> dt.datetime:
    """Return *moment*, in seconds of the epoch, for JSON; the last second of 9999 for what is later."""
    return dt.datetime.fromtimestamp(min(moment, _LAST), dt.UTC)


def path_of(base: str, job: str) -> str:
    """Return the path of *job* below *base*."""
    return f"{base}/jobs/{job}"


def shown(job: Job, base: str, retention: Mapping[str, float]) -> JobReply:
    """Return *job* as callers see it.

    Args:
        job: The job.
        base: The path below which the routes are.
        retention: queue -> seconds for which its final jobs are kept; of others nobody here knows.
    """
    own = path_of(base, job.id)
    found = JobReply(
        id=job.id,
        handler=job.queue,
        state=job.state,
        priority=job.priority,
        created_at=at(job.created_at),
        due_at=at(job.due_at),
        counts=job.counts,
        links=JobLinks(
            self=own,
            results=f"{own}/results",
            unprocessed=f"{own}/unprocessed",
            events=f"{own}/events",
            cancel=f"{own}/cancel",
            retry=f"{own}/retry",
        ),
    )
    if job.finished_at is not None:
        found.finished_at = at(job.finished_at)
        if job.queue in retention:
            found.expires_at = at(job.finished_at + retention[job.queue])
    return found


def version_of(job: Job) -> str:
    """Return what is the same as long as *job* stands the same, on every server and at every time.

    It is the ETag of the job and the id of its events.
    """
    counts = job.counts
    numbers = (counts.total, counts.running, counts.succeeded, counts.failed, counts.cancelled)
    ended = "" if job.finished_at is None else f"@{job.finished_at:.6f}"
    return f"{job.state}.{'.'.join(map(str, numbers))}{ended}"


def is_known(version: str, if_none_match: bytes | None) -> bool:
    """Tell whether the caller has *version* already, by its ``If-None-Match``."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return b"*" in tags or b'"%b"' % version.encode() in tags


def look_again_in(job: Job, now: float) -> int | None:
    """Return the seconds after which *job* may be final, by how fast it went so far; None if it is.

    Whole, 1 to 60.
    """
    if job.state.is_final:
        return None
    if job.due_at > now:
        return max(1, min(_LONGEST_PAUSE, math.ceil(job.due_at - now)))
    counts = job.counts
    done = counts.succeeded + counts.failed + counts.cancelled
    if not done:
        return 1
    rate = done / max(0.001, now - job.due_at)
    return max(1, min(_LONGEST_PAUSE, math.ceil((counts.total - done) / rate)))


def job_reply(status: int, body: JobReply, job: Job, now: float, *headers: tuple[bytes, bytes]) -> Reply:
    """Return the reply that shows *job* as *body*."""
    fields: Sequence[tuple[bytes, bytes]] = [
        (b"etag", b'"%b"' % version_of(job).encode()),
        (b"cache-control", b"no-cache"),
        *headers,
    ]
    pause = look_again_in(job, now)
    if pause is not None:
        fields = [*fields, (b"retry-after", b"%d" % pause)]
    return json_reply(status, _ENCODER.encode(body), *fields)
