"""The JSON that goes over the wire, shared by the server and its clients.

Members left ``UNSET`` are not sent; a reader finds them ``UNSET``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from gristmill.model.job import JobCounts, JobState


class Complaint(Struct, frozen=True):
    """One thing that is wrong with a request.

    Attributes:
        pointer: Where, as a JSON Pointer fragment into the request body
            (``#/items/1/data/text``); ``#`` is the whole body. JSON lines count
            as an array of their items.
        detail: What, without repeating the value.
    """

    pointer: str
    detail: str


class Problem(Struct, kw_only=True):
    """A problem of RFC 9457, of a whole request or of one item.

    Attributes:
        type: ``/problems/<code with hyphens>``; answers a description there.
        code: The stable slug programs branch on.
        title: What kind of problem, the same text each time.
        status: The HTTP status; of an item it stands beside the problem.
        detail: What happened this time.
        retryable: Whether the same item may succeed later.
        instance: A random id that the server's log has too.
        errors: What exactly is wrong, with pointers.
        offset: The byte of the body where it stops being JSON.
        retry_after_s: Seconds to wait before trying again.
        limit_bytes: The size that was exceeded, in bytes.
        limit_items: The number of items that was exceeded.
        limit_depth: The nesting that was exceeded.
        attempts: How often the handler saw the item, of an item of a job.
    """

    type: str
    code: str
    title: str
    status: int | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    retryable: bool = False
    instance: str | UnsetType = UNSET
    errors: list[Complaint] | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    retry_after_s: int | UnsetType = UNSET
    limit_bytes: int | UnsetType = UNSET
    limit_items: int | UnsetType = UNSET
    limit_depth: int | UnsetType = UNSET
    attempts: int | UnsetType = UNSET


class ItemReply(Struct):
    """What became of one item of a batch or stream.

    Attributes:
        index: The item's place in the request, from 0.
        id: The caller's id of the item, if it gave one.
        status: An HTTP status for this item alone.
        result: What the handler answered, if *status* is 200.
        error: What went wrong, otherwise.
    """

    index: int
    id: str | UnsetType = UNSET
    status: int = 200
    result: Any = UNSET
    error: Problem | UnsetType = UNSET


class Counts(Struct, frozen=True):
    """How a batch went; the three kinds always sum to *total*.

    ``unprocessed`` items never reached the handler and may be sent again as they are.
    """

    total: int
    succeeded: int
    failed: int
    unprocessed: int


class BatchReply(Struct):
    """The answer to a batch.

    Attributes:
        errors: Whether any item did not succeed.
        took_ms: Milliseconds from the read request to the reply.
        counts: How many went how.
        items: One entry per item in the order of the request; only those that
            did not succeed under ``Prefer: return=minimal``.
    """

    errors: bool
    took_ms: int
    counts: Counts
    items: list[ItemReply]


class StreamTrailer(Struct, kw_only=True):
    """The last line of a stream.

    Attributes:
        done: Whether the input was read to its end.
        errors: Whether any item did not succeed, or the stream was cut short.
        counts: How many went how.
        error: Why the stream was cut short, if it was.
    """

    done: bool
    errors: bool
    counts: Counts
    error: Problem | UnsetType = UNSET


class JobLinks(Struct, frozen=True):
    """Where everything of a job is, as paths on this server."""

    self: str
    results: str
    unprocessed: str
    events: str
    cancel: str
    retry: str


class JobReply(Struct, kw_only=True):
    """A job as it stands.

    Attributes:
        id: Its id.
        handler: The handler's name.
        state: ``receiving``, ``queued``, ``running``, ``cancelling``, ``completed`` or ``cancelled``. A job
            is ``completed`` when every item has its outcome, failed ones included.
        priority: 0 (urgent) to 9.
        created_at: When it was stored.
        due_at: When its first items are due.
        finished_at: When the last item got its outcome.
        expires_at: After which a final job is deleted.
        counts: How many of its items are where; they always sum to ``total``.
        durability: What it survives, told when it is made.
        retried: How many items run again, told when that was asked for.
        links: Where its parts are.
    """

    id: str
    handler: str
    state: JobState
    priority: int
    created_at: dt.datetime
    due_at: dt.datetime
    finished_at: dt.datetime | UnsetType = UNSET
    expires_at: dt.datetime | UnsetType = UNSET
    counts: JobCounts
    durability: str | UnsetType = UNSET
    retried: int | UnsetType = UNSET
    links: JobLinks


class JobList(Struct):
    """Some jobs, newest first.

    Attributes:
        jobs: The jobs.
        cursor: Asks for the next page; absent at the end.
    """

    jobs: list[JobReply]
    cursor: str | UnsetType = UNSET


class ResultLine(Struct, kw_only=True):
    """The outcome of one item of a job.

    Attributes:
        index: The item's place in the job, from 0.
        id: The caller's id of the item, if it gave one.
        status: An HTTP status for this item alone.
        result: What the handler answered, if *status* is 200.
        error: What went wrong, otherwise.
        cursor: Where a reader goes on after this line: ``?after=``.
    """

    index: int
    id: str | UnsetType = UNSET
    status: int = 200
    result: Any = UNSET
    error: Problem | UnsetType = UNSET
    cursor: str


class QueueReply(Struct, kw_only=True):
    """How a queue stands, in items.

    Attributes:
        handler: The handler's name.
        is_paused: Whether nothing is taken from it.
        ready: Due now.
        scheduled: Due later, retries included.
        blocked: Behind others of their ordering key.
        running: In a batch.
        dead: Failed for good, and can be redriven.
        oldest_age_s: Seconds that the oldest has been due.
    """

    handler: str
    is_paused: bool
    ready: int
    scheduled: int
    blocked: int
    running: int
    dead: int
    oldest_age_s: float


class DeadReply(Struct, kw_only=True):
    """Dead items of one handler and code.

    Attributes:
        handler: The handler's name.
        code: Why they died.
        items: How many.
        first_at: When the first of them died.
        last_at: When the last did.
    """

    handler: str
    code: str
    items: int
    first_at: dt.datetime
    last_at: dt.datetime
