"""From outcomes to what a caller is told, and what only the log is told."""

from __future__ import annotations

import logging
import math

from gristmill.errors import BatchError
from gristmill.http.problems import Statuses, new_instance, problem
from gristmill.model.outcome import Failed
from gristmill.model.stats import Stats
from gristmill.wire import Problem

_LOG = logging.getLogger("gristmill.http")

UNPROCESSED = frozenset(("queue_full", "closed"))
"""Codes of items that never reached the handler."""

_UNAVAILABLE = 503
_LONGEST_WAIT = 60
_INSTANCE = "__gristmill_instance__"


class Verdicts:
    """Makes the problem of a failed item, once for every way in.

    Args:
        handler: The handler's name, for the log.
        statuses: Which code has which status.
    """

    def __init__(self, handler: str, statuses: Statuses) -> None:
        self._handler = handler
        self._statuses = statuses

    def problem_of(self, failed: Failed, retry_after: int = 1) -> Problem:
        """Return what the caller of a *failed* item is told.

        Text that the handler put into ``Failed`` is shown. Text of an exception is
        not: it goes to the log, once, under the problem's ``instance``.

        Args:
            failed: The outcome.
            retry_after: Seconds after which another try makes sense, shown with a 503.
        """
        error = failed.error
        status = self._statuses.of(failed.code, retryable=failed.retryable)
        found = problem(
            failed.code,
            detail=_sendable(error) if isinstance(error, str) else None,
            status=status,
            retryable=failed.retryable,
        )
        if status == _UNAVAILABLE and failed.retryable:
            found.retry_after_s = retry_after
        if isinstance(error, Exception) and not _is_expected(failed.code):
            found.instance = self._logged(error, failed.code)
        return found

    def broken_contract(self, error: Exception) -> Problem:
        """Return the problem of an item whose result cannot be sent; *error* says why, to the log."""
        found = problem("handler_contract", status=self._statuses.of("handler_contract", retryable=False))
        found.instance = self._logged(error, "handler_contract")
        return found

    def _logged(self, error: Exception, code: str) -> str:
        """Return the instance under which *error* is in the log; all waiters of a batch share its cause."""
        origin = error.__cause__ or error
        known = getattr(origin, _INSTANCE, None)
        if isinstance(known, str):
            return known
        instance = new_instance()
        vars(origin)[_INSTANCE] = instance  # setattr is the exception's own, and frozen ones refuse
        # The heart logs the traceback of a batch that failed as a whole; of one item nobody else does.
        trace = None if isinstance(error, BatchError) else error
        _LOG.error(
            "%s of handler %s: %r (%s)", code, self._handler, origin, instance, exc_info=trace,
            extra={"handler": self._handler, "instance": instance},
        )  # fmt: skip
        return instance


def _sendable(text: str) -> str:
    """Return *text* as UTF-8 can hold it: names of files may come with lone surrogates."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _is_expected(code: str) -> bool:
    """Tell whether *code* is everyday business that needs no line in the log."""
    return code in UNPROCESSED or code in ("deadline_exceeded", "item_too_heavy", "cancelled", "not_found")


def retry_after(stats: Stats, jitter: float) -> int:
    """Return the seconds after which a full queue will have room: its depth over its drain rate.

    Args:
        stats: Of the handler that is full.
        jitter: 0 to 1; up to half as much again, so that callers do not come back all at once.

    Returns:
        1 to 60, whole.
    """
    mean_size, mean_seconds = stats.batch_size.mean, stats.batch_duration.mean
    if not mean_size > 0 or math.isnan(mean_seconds):
        return 1
    batches = stats.pending / mean_size + stats.running_batches
    seconds = batches * mean_seconds / max(1, stats.slots or 1)
    return max(1, min(_LONGEST_WAIT, math.ceil(seconds * (1 + jitter / 2))))
