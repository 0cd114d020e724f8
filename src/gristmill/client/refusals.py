"""From what a server says to the exceptions of this process, and whether a repeat is safe. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from gristmill.client.unreadable import UNREADABLE
from gristmill.errors import (
    BatchCancelled,
    BatcherClosed,
    BatchError,
    ClientError,
    DeadlineExceeded,
    GristmillError,
    HandlerFailed,
    ItemFailed,
    ItemTooHeavy,
    JobNotFinal,
    JobNotFound,
    NotSupported,
    QueueFull,
    ReentrantBatch,
    ReplyMismatch,
    RequestRefused,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
    StoreVersion,
    UnusableAnswer,
    WorkerDied,
)
from gristmill.wire import Problem

_KINDS: Mapping[str, type[BatchError]] = {
    kind.code: kind
    for kind in (
        *(HandlerFailed, ReplyMismatch, WorkerDied, BatchCancelled, DeadlineExceeded),
        *(BatcherClosed, QueueFull, ItemTooHeavy, ReentrantBatch),
    )
}
_OF_JOBS: Mapping[str, type[GristmillError]] = {
    "not_found": JobNotFound,
    **{
        kind.code: kind
        for kind in (
            *(JobNotFinal, StoreError, StoreUnavailable, StoreFull, StoreReadOnly, StoreVersion),
            *(StoreMisconfigured, NotSupported),
        )
    },
}
_UNSURE = frozenset(("deadline_exceeded", "cancelled", "worker_died", "handler_error"))
"""Codes of items that the handler may have done, or done in part."""

_CONFLICT = 409
_TOO_LARGE = 413
_PASSING = frozenset((408, 425, 429, 502, 503, 504))
_UNTOUCHED = frozenset((408, 425, 429, 503))
"""Statuses that say that nothing was begun: all of ours do, and proxies mean it."""
_REDIRECTS = range(300, 400)
_SERVER_ERROR = 500

_IN_BATCH = re.compile(r"#/(?:items/\d+/data|\d+)\b")
"""Where an item is in its batch, which says nothing to its caller."""
_PROBLEM = msgspec.json.Decoder(Problem)
_LONGEST_WAIT = 10**9  # seconds; a number may have any digits
_SHOWN = 200  # characters of a text that is no problem


def problem_in(headers: Mapping[str, str], body: bytes) -> Problem | None:
    """Return the problem (RFC 9457) that an answer holds, or None."""
    if "json" not in headers.get("content-type", ""):
        return None
    try:
        return _PROBLEM.decode(body)
    except UNREADABLE:
        return None


def refused(
    method: str, url: str, status: int, headers: Mapping[str, str], body: bytes, *, wait: float | None
) -> ClientError:
    """Return the error of a request that was answered with another *status* than 2xx.

    Args:
        method: Of the request.
        url: Of the request.
        status: Of the answer.
        headers: Of the answer, by name in lower case.
        body: Of the answer.
        wait: Seconds that the answer asks to wait.
    """
    if status in _REDIRECTS:
        place = headers.get("location", "nowhere")
        return UnusableAnswer(f"{url} redirects to {place}: give the client that address instead")
    found = problem_in(headers, body)
    asked = f"{method} {url} was answered with {status}"
    if found is None:
        text = body[:_SHOWN].decode(errors="replace").strip()
        return RequestRefused(
            f"{asked}: {text}" if text else asked,
            status=status,
            code="content_too_large" if status == _TOO_LARGE else "refused",
            retryable=status in _PASSING,
            may_have_run=status >= _SERVER_ERROR and status not in _UNTOUCHED,
            retry_after=wait,
        )
    asked_here = _wait_in(found)
    in_flight = status == _CONFLICT and found.retryable
    return RequestRefused(
        f"{asked} {found.code}: {told(found)}",
        status=status,
        code=found.code,
        retryable=found.retryable or status in _PASSING,
        may_have_run=not in_flight
        and (found.code in _UNSURE or (status >= _SERVER_ERROR and status not in _UNTOUCHED)),
        retry_after=wait if asked_here is None else asked_here,
        limit_items=None if isinstance(found.limit_items, UnsetType) else found.limit_items,
        limit_bytes=None if isinstance(found.limit_bytes, UnsetType) else found.limit_bytes,
    )


def told(found: Problem) -> str:
    """Return what a problem says, in one line."""
    text = found.title if isinstance(found.detail, UnsetType) else found.detail
    if not isinstance(found.errors, UnsetType) and found.errors:
        text = "; ".join(f"{each.detail} at {each.pointer}" for each in found.errors[:3])
    limits = (("limit_bytes", found.limit_bytes), ("limit_items", found.limit_items))
    known = [f"{name} is {limit}" for name, limit in limits if not isinstance(limit, UnsetType)]
    return f"{text} ({', '.join(known)})" if known else text


def item_error(found: Problem) -> BatchError:
    """Return what the caller of an item sees raised: the same as where the handler itself is.

    It has ``of_item``: the server's verdict on this item, and on no whole request.
    """
    kind = _KINDS.get(found.code)
    text = _IN_BATCH.sub("#", told(found))
    error = ItemFailed(text, code=found.code, retryable=found.retryable) if kind is None else kind(text)
    error.retryable = found.retryable
    marks: dict[str, Any] = vars(error)
    marks["of_item"] = True
    marks["problem"] = found
    return error


def of_items(error: ClientError) -> BatchError:
    """Return what the callers of all items of a refused request see: ``QueueFull`` for a full server."""
    kind = _KINDS.get(error.code) if isinstance(error, RequestRefused) else None
    if kind is None:
        return error
    known = kind(str(error))
    known.__cause__ = error
    return known


def of_job(error: ClientError) -> GristmillError:
    """Return what a caller sees of a refused request about a job: ``JobNotFound`` and its kind."""
    kind = _OF_JOBS.get(error.code) if isinstance(error, RequestRefused) else None
    if kind is None:
        return error
    known = kind(str(error))
    known.__cause__ = error
    return known


def may_retry(error: Exception, *, idempotent: bool) -> bool:
    """Tell whether an item with this verdict of the server may be sent again.

    A whole request that failed is repeated where it is sent, not here.

    Args:
        error: The verdict.
        idempotent: Whether the user says that the handler may see an item twice.
    """
    if not getattr(error, "of_item", False) or not getattr(error, "retryable", False):
        return False
    if getattr(error, "is_last", False):
        return False  # no time is left for another try, or no budget
    return idempotent or getattr(error, "code", "") not in _UNSURE


def may_repeat(error: ClientError, *, repeatable: bool) -> bool:
    """Tell whether a request that failed may be sent again as it is.

    Args:
        error: How it failed.
        repeatable: Whether it may be done twice: it has an idempotency key, only reads, or the user says so.
    """
    return error.retryable and (repeatable or not error.may_have_run)


def wait_of(error: Exception) -> float | None:
    """Return the seconds that the server asks to wait before an item, or a request, is sent again."""
    if isinstance(error, RequestRefused):
        return error.retry_after
    found = getattr(error, "problem", None)
    return _wait_in(found) if isinstance(found, Problem) else None


def _wait_in(found: Problem) -> float | None:
    seconds = found.retry_after_s
    return None if isinstance(seconds, UnsetType) else float(min(max(seconds, 0), _LONGEST_WAIT))
