"""Hand out the answers of one batch: each waiter once, each with its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections import Counter
from collections.abc import Sequence

from gristmill.batching.batch import Batch, Slice, Waiter
from gristmill.batching.reply import Settled
from gristmill.model.flush import FlushReason
from gristmill.model.retry import Retry

logger = logging.getLogger("gristmill.batching")

_DONE = (asyncio.InvalidStateError, concurrent.futures.InvalidStateError)


def answer(batch: Batch, settled: Settled, items: Counter[str]) -> None:
    """Answer the waiters of *batch* and deliver its slices; count the outcomes in *items*.

    A waiter that is done already (cancelled, expired) is passed over.
    """
    done = _answer_mixed(batch, settled, items) if settled.errors else _answer_plain(batch, settled, items)
    if done:
        items["cancelled"] += sum(waiter.cancelled() for waiter in done)  # what expired was counted then
    if batch.slices:
        for start, piece in batch.bounds():
            _deliver(piece, start, settled, items)


def _answer_plain(batch: Batch, settled: Settled, items: Counter[str]) -> list[Waiter]:
    done: list[Waiter] = []
    for waiter, value in zip(batch.waiters, settled.values, strict=False):
        try:
            waiter.set_result(value)
        except _DONE:
            done.append(waiter)
    items["ok"] += len(batch.waiters) - len(done)
    return done


def _answer_mixed(batch: Batch, settled: Settled, items: Counter[str]) -> list[Waiter]:
    done: list[Waiter] = []
    for index, waiter in enumerate(batch.waiters):
        error = settled.errors.get(index)
        try:
            if error is None:
                waiter.set_result(settled.values[index])
            else:
                waiter.set_exception(error)
            items["ok" if error is None else "failed"] += 1
        except _DONE:
            done.append(waiter)
    return done


def _deliver(piece: Slice, start: int, settled: Settled, items: Counter[str]) -> None:
    stop = start + len(piece.positions)
    if piece.owner.is_dead:
        items["cancelled"] += stop - start
        return
    errors = {i - start: e for i, e in settled.errors.items() if start <= i < stop}
    items["failed"] += len(errors)
    items["ok"] += stop - start - len(errors)
    piece.owner.deliver(piece.positions, settled.values[start:stop], errors)


def split_retries(retry: Retry, batch: Batch, settled: Settled) -> tuple[Batch | None, Batch, Settled]:
    """Tell apart what is tried again: (the retry or None, the rest, the rest's answers)."""
    again = {i for i, error in settled.errors.items() if _admits(retry, error, batch)}
    if not again:
        return None, batch, settled
    later = batch.subset(sorted(again), FlushReason.RETRY)
    later.attempt = batch.attempt + 1
    kept: Sequence[int] = [i for i in range(len(batch)) if i not in again]
    rest = batch.subset(kept, batch.reason)
    rest.started, rest.number = batch.started, batch.number
    errors = {k: settled.errors[i] for k, i in enumerate(kept) if i in settled.errors}
    return later, rest, Settled([settled.values[i] for i in kept], errors, settled.fatal)


def _admits(retry: Retry, error: Exception, batch: Batch) -> bool:
    try:
        return retry.admits(error, batch.attempt)
    except Exception:
        # The user's own function. The item keeps the answer it has.
        logger.exception("Retry(on=...) raised; an item of batch %d is not tried again", batch.number)
        return False
