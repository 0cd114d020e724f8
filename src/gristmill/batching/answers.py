"""Hand out the answers of one batch: each waiter once, each with its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import Counter
from collections.abc import Sequence

from gristmill.batching.batch import Batch, Slice
from gristmill.batching.reply import Settled
from gristmill.model.flush import FlushReason
from gristmill.model.retry import Retry

_DONE = (asyncio.InvalidStateError, concurrent.futures.InvalidStateError)


def answer(batch: Batch, settled: Settled, items: Counter[str]) -> None:
    """Answer the waiters of *batch* and deliver its slices; count the outcomes in *items*.

    A waiter that is done already (cancelled, expired) is passed over.
    """
    failed, lost = _answer_mixed(batch, settled) if settled.errors else (0, _answer_plain(batch, settled))
    items["cancelled"] += lost
    items["failed"] += failed
    items["ok"] += len(batch.waiters) - failed - lost
    for start, piece in batch.bounds():
        _deliver(piece, start, settled, items)


def _answer_plain(batch: Batch, settled: Settled) -> int:
    lost = 0
    for waiter, value in zip(batch.waiters, settled.values, strict=False):
        try:
            waiter.set_result(value)
        except _DONE:
            lost += 1
    return lost


def _answer_mixed(batch: Batch, settled: Settled) -> tuple[int, int]:
    failed = lost = 0
    for index, waiter in enumerate(batch.waiters):
        error = settled.errors.get(index)
        try:
            if error is None:
                waiter.set_result(settled.values[index])
            else:
                waiter.set_exception(error)
                failed += 1
        except _DONE:
            lost += 1
    return failed, lost


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
    again = {i for i, error in settled.errors.items() if retry.admits(error, batch.attempt)}
    if not again:
        return None, batch, settled
    later = batch.subset(sorted(again), FlushReason.RETRY)
    later.attempt = batch.attempt + 1
    kept: Sequence[int] = [i for i in range(len(batch)) if i not in again]
    rest = batch.subset(kept, batch.reason)
    rest.started, rest.number = batch.started, batch.number
    errors = {k: settled.errors[i] for k, i in enumerate(kept) if i in settled.errors}
    return later, rest, Settled([settled.values[i] for i in kept], errors, settled.fatal)
