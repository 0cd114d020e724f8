"""Every store does what the one in memory does, whatever is asked of it in whatever order."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from typing import Any

import pytest
from tests.silence import silence

from gristmill.errors import JobNotFinal, JobNotFound
from gristmill.model.chunk import NewChunk, cut, each_place, pick
from gristmill.model.job import NewJob, Unique
from gristmill.model.lease import Claim, NewResult, ResultKind, Settlement
from gristmill.model.queue import DeadFilter, QueueLimits
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.store import ABANDONED, Store

QUEUES = ("numbers", "letters")
CODES = ("bad", "worse")
WALKS = 40 if os.environ.get("GRISTMILL_HYPOTHESIS") == "thorough" else 3


class Pair:
    """A store and its model: each step is done to both, and both must answer the same."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.model = store, MemoryStore()
        self.random = random.Random(seed)
        self.jobs: list[str] = []
        self.leases: list[tuple[Claim, Claim]] = []

    async def both(self, method: str, *args: Any, **options: Any) -> Any:
        """Call both and return the answer, which is one."""
        answers = [await _ask(store, method, *args, **options) for store in (self.model, self.store)]
        assert answers[0] == answers[1], (method, args, options)
        return answers[0]

    def _new(self) -> tuple[NewJob, list[NewChunk]]:
        pick_one = self.random.choice
        name = f"job_{len(self.jobs):026d}"
        unique = pick_one((None, None, None, Unique(key=pick_one("kl")), Unique(key="m", seconds=3600)))
        job = NewJob(
            id=name,
            queue=pick_one(QUEUES),
            priority=pick_one((0, 4, 4, 9)),
            delay=pick_one((0.0, 0.0, 0.0, 3600.0)),
            unique=unique,
            keep_results=pick_one((True, True, False)),
        )
        texts = (json.dumps(number).encode() for number in range(pick_one((0, 1, 5, 12))))
        key = pick_one((None, None, "a", "b"))
        self.jobs.append(name)
        return job, list(cut(texts, job=name, max_items=pick_one((1, 4)), max_bytes=1 << 20, key=key))

    async def enqueue(self) -> None:
        await self.both("enqueue", [self._new() for _ in range(self.random.choice((1, 1, 3)))])

    async def upload(self) -> None:
        job, chunks = self._new()
        if (await self.both("begin", job)).created:
            await self.both("add", job.id, chunks)

    async def end_upload(self) -> None:
        await self.both(self.random.choice(("commit", "commit", "abort")), self._any_job())

    async def silence_upload(self) -> None:
        job = self._any_job()
        for store in (self.model, self.store):
            await silence(store, job, ABANDONED + 1)

    def _any_job(self) -> str:
        return self.random.choice(self.jobs) if self.jobs else "job_none"

    async def claim(self) -> None:
        seconds = self.random.choice((0, 3600, 3600))
        options = {"worker": "w", "max_items": self.random.choice((1, 6, 100)), "max_bytes": 1 << 20}
        queue = self.random.choice(QUEUES)
        mine = await self.model.claim(queue, seconds=seconds, **options)
        theirs = await self.store.claim(queue, seconds=seconds, **options)
        if _is_part(theirs, mine):
            # A store may look at fewer chunks than fit, and say that there is more: nobody keeps it then.
            assert await self.model.release(mine.lease)
            assert await self.store.release(theirs.lease)
        else:
            self._same(mine, theirs)

    async def take_over(self) -> None:
        mine = await self.model.take_over(worker="r", seconds=3600)
        theirs = await self.store.take_over(worker="r", seconds=3600)
        self._same(_sorted(mine), _sorted(theirs))

    def _same(self, mine: Any, theirs: Any) -> None:
        assert _claimed(mine) == _claimed(theirs)
        if isinstance(mine, Claim):
            assert theirs.more or not mine.more  # it may promise more than there is, not less
        if isinstance(mine, Claim):
            self.leases.append((mine, theirs))

    async def release(self) -> None:
        if self.leases:
            mine, theirs = self.random.choice(self.leases)
            assert await self.model.release(mine.lease) == await self.store.release(theirs.lease)

    async def renew(self) -> None:
        if self.leases:
            mine, theirs = self.random.choice(self.leases)
            lost = await self.model.renew([mine.lease], 3600)
            assert bool(lost) == bool(await self.store.renew([theirs.lease], 3600))

    async def settle(self) -> None:
        if self.leases:
            mine, theirs = self.random.choice(self.leases)
            plan = [[self.random.choice("ssrdw") for _ in range(chunk.items)] for chunk in mine.chunks]
            halved = self.random.random() < 0.3
            answers = [
                await store.settle(_settlement(claim, plan, halved=halved))
                for store, claim in ((self.model, mine), (self.store, theirs))
            ]
            assert answers[0] == answers[1]

    async def cancel(self) -> None:
        await self.both("cancel", self._any_job())

    async def cancel_items(self) -> None:
        await self.both("cancel_items", self._any_job(), self.random.sample(range(12), 4))

    async def delete(self) -> None:
        await self.both("delete", self._any_job())

    async def redrive(self) -> None:
        which = DeadFilter(
            queue=self.random.choice((None, *QUEUES)),
            job=self.random.choice((None, None, self._any_job())),
            code=self.random.choice((None, *CODES)),
        )
        await self.both("redrive", which, limit=self.random.choice((2, 1000)))

    async def limit(self) -> None:
        concurrency = self.random.choice((None, None, 2))
        await self.both("limit", self.random.choice(QUEUES), QueueLimits(concurrency=concurrency))

    async def pause(self) -> None:
        await self.both(self.random.choice(("pause", "resume", "resume")), self.random.choice(QUEUES))

    async def prune(self) -> None:
        if self.random.random() < 0.1:
            await self.both("prune", "numbers", older_than=-1)

    async def compare(self) -> None:
        """See that both look the same from outside."""
        for job in self.jobs:
            mine, theirs = await self.model.job(job), await self.store.job(job)
            assert _seen(mine) == _seen(theirs)
            for kind in (None, *ResultKind):
                assert _results(await self.model.results(job, kind=kind)) == _results(
                    await self.store.results(job, kind=kind)
                )
            between = [await store.results_between(job, 3, 6) for store in (self.model, self.store)]
            assert _results(between[0], range(3, 7)) == _results(between[1], range(3, 7))
            waiting = [await store.unprocessed(job) for store in (self.model, self.store)]
            assert sorted(map(_chunk, waiting[0]), key=str) == sorted(map(_chunk, waiting[1]), key=str)
        for queue in (None, *QUEUES):
            pages = [await store.jobs(queue=queue, limit=1000) for store in (self.model, self.store)]
            assert [_seen(job) for job in pages[0].jobs] == [_seen(job) for job in pages[1].jobs]
        assert _queues(await self.model.queues()) == _queues(await self.store.queues())
        for which in (DeadFilter(), DeadFilter(job=self._any_job()), DeadFilter(before=1e12)):
            assert _dead(await self.model.dead(which)) == _dead(await self.store.dead(which))


STEPS = (
    "enqueue", "enqueue", "enqueue", "claim", "claim", "claim", "settle", "settle", "settle",
    "release", "renew", "take_over", "upload", "end_upload", "silence_upload", "cancel", "cancel_items",
    "delete", "redrive", "limit", "pause", "prune",
)  # fmt: skip


async def _ask(store: Store, method: str, *args: Any, **options: Any) -> Any:
    try:
        return await getattr(store, method)(*args, **options)
    except (JobNotFound, JobNotFinal) as error:
        return type(error)


def _settlement(claim: Claim, plan: list[list[str]], *, halved: bool) -> Settlement:
    """Return what *plan* says: s succeeds, r runs again, d and w die of their codes."""
    chunks: list[NewChunk] = []
    results: list[NewResult] = []
    for chunk, fates in zip(claim.chunks, plan, strict=True):
        places = list(each_place(chunk.places))
        of = {fate: [index for index, each in enumerate(fates) if each == fate] for fate in "srdw"}
        if of["r"]:
            cuts = [of["r"][:1], of["r"][1:]] if halved else [of["r"]]
            tried = {"attempt": chunk.attempt + 1, "crashes": int(halved)}
            chunks += [pick(chunk, part, **tried) for part in cuts if part]
        for fate, code in zip("dw", CODES, strict=True):
            if of[fate]:
                chunks.append(pick(chunk, of[fate], code=code, error=f"so {code}"))
        for kind, indices in (
            (ResultKind.SUCCEEDED, of["s"]),
            (ResultKind.FAILED, sorted(of["d"] + of["w"])),
        ):
            if indices:
                body = json.dumps(indices).encode() if chunk.keep_results else None
                runs = tuple((places[index], 1) for index in indices)
                results.append(
                    NewResult(job=chunk.job, kind=kind, places=runs, items=len(indices), body=body)
                )
    return Settlement(lease=claim.lease, chunks=tuple(chunks), results=tuple(results))


def _sorted(claim: Claim | None) -> Claim | None:
    """Return *claim* with its chunks in the order of storing: after a take-over they come in any."""
    if claim is None:
        return None
    return replace(claim, chunks=tuple(sorted(claim.chunks, key=lambda chunk: chunk.id)))


def _chunk(chunk: Any) -> tuple[Any, ...]:
    return (
        chunk.queue, chunk.job, tuple(each_place(chunk.places)), chunk.items, chunk.raws(),
        chunk.key, chunk.attempt, chunk.crashes, chunk.keep_results,
    )  # fmt: skip


def _claimed(found: Any) -> Any:
    return list(map(_chunk, found.chunks)) if isinstance(found, Claim) else found is None


def _is_part(found: Any, whole: Any) -> bool:
    if not (isinstance(found, Claim) and isinstance(whole, Claim) and found.more):
        return False
    parts = [list(map(_chunk, claim.chunks)) for claim in (found, whole)]
    return len(parts[0]) < len(parts[1]) and parts[0] == parts[1][: len(parts[0])]


def _seen(job: Any) -> Any:
    if job is None:
        return None
    return job.id, job.queue, job.state, job.counts, job.priority, job.finished_at is None


def _results(found: Any, window: range = range(100)) -> Any:
    """Return what must be the same; how cancelled items share results is open."""
    cancelled = [
        place
        for each in found
        if each.kind is ResultKind.CANCELLED
        for place in each_place(each.places)
        if place in window
    ]
    others = [
        (each.kind, tuple(each_place(each.places)), each.items, each.body)
        for each in found
        if each.kind is not ResultKind.CANCELLED
    ]
    return others, sorted(cancelled)


def _queues(found: Any) -> list[tuple[Any, ...]]:
    rows = [
        (each.name, each.is_paused, each.ready, each.scheduled, each.blocked, each.running, each.dead)
        for each in found
    ]
    return [row for row in rows if any(row[1:])]


def _dead(found: Any) -> list[tuple[Any, ...]]:
    return sorted((each.queue, each.code, each.items, each.error) for each in found)


@pytest.mark.parametrize("seed", range(WALKS))
async def test_a_store_does_what_the_one_in_memory_does(store: Store, seed: int) -> None:
    pair = Pair(store, seed)
    for step in range(150):
        name = pair.random.choice(STEPS)
        await getattr(pair, name)()
        if step % 10 == 0:
            await pair.compare()
    await pair.compare()
