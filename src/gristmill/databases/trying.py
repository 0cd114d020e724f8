"""A step whose transaction was interrupted is done again, where nothing of it is stored."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gristmill.databases.faults import Interrupted
from gristmill.errors import CommitUnknown, DatabaseConflict, DatabaseFailed

logger = logging.getLogger("gristmill.databases")

T = TypeVar("T")

TRIES = 3
CONFLICTS = 8
"""Tries of a batch that meets other transactions: somebody gets on each time, and pauses part them."""
_PAUSE = 0.005


def pause_after(error: DatabaseFailed, tries: int, chance: float) -> float | None:
    """Return the seconds to wait before the next try; None if there is none.

    Those who met once would meet again if they came back in step, so the pause is full jitter of an
    exponential one (Marc Brooker, Exponential Backoff And Jitter, 2015).

    Args:
        error: What ended the last one.
        tries: How many there were.
        chance: A random number, 0 <= x < 1.
    """
    if isinstance(error, CommitUnknown):
        return None
    if isinstance(error, DatabaseConflict):
        return chance * _PAUSE * 2.0**tries if tries < CONFLICTS else None
    return 0.0 if tries < TRIES else None


async def tried(step: Callable[[], Awaitable[T]], *, name: str, is_joined: bool) -> T:
    """Do *step*, which begins a transaction, again if that was interrupted and nothing of it is stored.

    Args:
        step: Is cancelled with the caller.
        name: Of the pool, for the log.
        is_joined: Whether the transaction is the caller's: then only they can begin another.

    Raises:
        DatabaseFailed: It was interrupted too often, or it is not known whether it is stored.
    """
    tries = 0
    while True:
        try:
            return await step()
        except Interrupted as interrupted:
            tries += 1
            pause = None if is_joined else pause_after(interrupted.error, tries, random.random())  # noqa: S311 - jitter
            if pause is None:
                logger.warning("%s: %s", name, interrupted.__cause__ or interrupted)
                raise interrupted.error from interrupted
            logger.info("%s: tried again: %s", name, interrupted.__cause__ or interrupted)
        if pause:
            await asyncio.sleep(pause)
