"""The JSON that goes over the wire, shared by the server and its clients.

Members left ``UNSET`` are not sent; a reader finds them ``UNSET``.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType


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
