"""Results of a job as they come, until it is final."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gristmill.errors import ConfigurationError
from gristmill.model.lease import ResultKind
from gristmill.queue.reading import ItemResult, as_settled, in_order, read_place
from gristmill.queue.service import Jobs

_SOON, _LATE = 0.05, 1.0
"""Seconds between looks: right after something came, and when nothing has for a while."""


async def follow(
    jobs: Jobs,
    job: str,
    *,
    ordered: bool = False,
    after: str | None = None,
    kind: ResultKind | None = None,
) -> AsyncIterator[ItemResult]:
    """Yield the outcomes of *job*, those there are and those to come, and return when it is final.

    The options are those of ``Jobs.results``.

    Raises:
        JobNotFound: There is no such job, or it was removed meanwhile.
    """
    if ordered and kind is not None:
        raise ConfigurationError("ordered results are of every kind")
    place = 0 if after is None or not ordered else read_place(after)
    pause = _SOON
    ids = await jobs.ids(job)
    while True:
        # Asked before the results are read: when it was final then, nothing comes after them.
        found = await jobs.get(job)
        reader = (
            in_order(jobs.store, job, found.counts.total, first=place, ids=ids)
            if ordered
            else as_settled(jobs.store, job, after=after, kind=kind, ids=ids)
        )
        before = place, after
        async for item in reader:
            place, after = item.place + 1, item.cursor
            yield item
        if found.state.is_final:
            return
        pause = min(_LATE, pause * 1.5) if (place, after) == before else _SOON
        await asyncio.sleep(pause)
