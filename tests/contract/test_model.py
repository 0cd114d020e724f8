"""Random operations on a store and on the reference beside it: both must show the same at every step."""

from __future__ import annotations

import asyncio
import contextlib
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gristmill.model.chunk import Chunk, cut, each_place, pick
from gristmill.model.job import NewJob, Unique
from gristmill.model.lease import Claim, NewResult, ResultKind, Settlement
from gristmill.model.queue import DeadFilter, QueueLimits
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.store import Store

_machines = count()
QUEUES = st.sampled_from(["a", "b"])
KEYS = st.sampled_from([None, None, "x", "y"])


def seen(claim: Any) -> Any:
    """What must be the same of two claims: ids are each store's own."""
    if not isinstance(claim, Claim):
        return None
    return [(c.job, c.places, c.items, c.body, c.key, c.attempt, c.crashes) for c in claim.chunks]


class Lockstep(RuleBasedStateMachine):
    """Does everything twice."""

    store: Store
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.reference = MemoryStore()
        self.claims: list[tuple[Claim, Claim]] = []
        self.dead: list[tuple[Claim, Claim]] = []
        self.jobs: list[str] = []
        self.number = 0
        self.prefix = f"{next(_machines):010d}"

    def teardown(self) -> None:
        """Leave no dead lease to the next example: the store is the same."""

        async def bury() -> None:
            while (claim := await self.store.take_over(worker="r", seconds=900)) is not None:
                await self.store.settle(Settlement(lease=claim.lease, results=tuple(map(done, claim.chunks))))

        self.runner.run(bury())

    def both(self, call: Any) -> tuple[Any, Any]:
        async def run() -> tuple[Any, Any]:
            return await call(self.store), await call(self.reference)

        return self.runner.run(run())

    def same(self, call: Any) -> Any:
        real, wanted = self.both(call)
        assert real == wanted
        return real

    def queue(self, name: str) -> str:
        return f"{self.prefix}{name}"

    @rule(
        name=QUEUES,
        items=st.integers(0, 7),
        chunk=st.integers(1, 4),
        key=KEYS,
        delay=st.sampled_from([0.0, 0.0, 9000.0]),
        options=st.fixed_dictionaries({"priority": st.integers(0, 9), "keep_results": st.booleans()}),
        unique=st.sampled_from([None, None, "u", "v"]),
    )
    def enqueue(
        self,
        *,
        name: str,
        items: int,
        chunk: int,
        key: str | None,
        delay: float,
        options: Any,
        unique: str | None,
    ) -> None:
        self.number += 1
        job = NewJob(
            id=f"job_{self.prefix}{self.number:016d}",
            queue=self.queue(name),
            delay=delay,
            unique=None if unique is None else Unique(key=unique),
            **options,
        )
        texts = [json.dumps([self.number, index]).encode() for index in range(items)]
        chunks = list(cut(texts, job=job.id, max_items=chunk, max_bytes=1000, key=key))
        (found,) = self.same(lambda store: store.enqueue([(job, chunks)]))
        if found.created:
            self.jobs.append(job.id)

    @rule(name=QUEUES, items=st.integers(1, 9), dies=st.booleans())
    def claim(self, name: str, items: int, dies: bool) -> None:  # noqa: FBT001 - hypothesis passes names
        real, wanted = self.both(
            lambda store: store.claim(
                self.queue(name), worker="w", max_items=items, max_bytes=500, seconds=0 if dies else 900
            )
        )
        if isinstance(real, Claim) and real.more and seen(real) != seen(wanted):
            # A store may look at fewer chunks than fit, and say that there is more: nobody keeps it then.
            assert seen(real) == seen(wanted)[: len(real.chunks)]
            self.give_back(real, wanted)
            return
        assert seen(real) == seen(wanted)
        if isinstance(real, Claim):
            assert real.more or not wanted.more  # it may promise more than there is, not less
            (self.dead if dies else self.claims).append((real, wanted))

    def give_back(self, real: Claim, wanted: Claim) -> None:
        async def run() -> tuple[bool, bool]:
            return await self.store.release(real.lease), await self.reference.release(wanted.lease)

        answers = self.runner.run(run())
        assert answers[0] == answers[1]

    def settle(self, pair: tuple[Claim, Claim], marks: list[int]) -> None:
        def settlement(claim: Claim) -> Settlement:
            chunks: list[Any] = []
            results: list[NewResult] = []
            for chunk in claim.chunks:
                for mark in range(4):
                    picked = [i for i in range(chunk.items) if marks[i % len(marks)] == mark]
                    if picked:
                        outcome(chunk, picked, mark, chunks, results)
            return Settlement(lease=claim.lease, chunks=tuple(chunks), results=tuple(results))

        async def run() -> tuple[Any, Any]:
            return await self.store.settle(settlement(pair[0])), await self.reference.settle(
                settlement(pair[1])
            )

        real, wanted = self.runner.run(run())
        assert real == wanted

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), marks=st.lists(st.integers(0, 3), min_size=1, max_size=4), twice=st.booleans())
    def settle_one(self, data: Any, marks: list[int], twice: bool) -> None:  # noqa: FBT001 - as above
        pair = data.draw(st.sampled_from(self.claims))
        self.settle(pair, marks)
        if not twice:
            self.claims.remove(pair)

    @precondition(lambda self: self.dead)
    @rule(data=st.data(), marks=st.lists(st.integers(0, 3), min_size=1, max_size=4))
    def settle_late(self, data: Any, marks: list[int]) -> None:
        self.settle(data.draw(st.sampled_from(self.dead)), marks)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        self.give_back(*data.draw(st.sampled_from(self.claims)))

    @rule()
    def take_over_all(self) -> None:
        """Which dead lease comes first is open: compare them all."""

        async def run(store: Store) -> list[Claim]:
            found = []
            while (claim := await store.take_over(worker="r", seconds=900)) is not None:
                found.append(claim)
            return sorted(found, key=lambda claim: sorted((c.job, c.places) for c in claim.chunks))

        real, wanted = self.both(run)
        assert [sorted(seen(claim), key=str) for claim in real] == [
            sorted(seen(claim), key=str) for claim in wanted
        ]
        self.claims += zip(real, wanted, strict=True)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), places=st.one_of(st.none(), st.lists(st.integers(0, 7), max_size=3)))
    def cancel(self, data: Any, places: list[int] | None) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        if places is None:
            self.same(lambda store: store.cancel(job))
        else:
            self.same(lambda store: store.cancel_items(job, places))

    @rule(name=st.one_of(st.none(), QUEUES), code=st.sampled_from([None, "bad"]))
    def redrive(self, name: str | None, code: str | None) -> None:
        for queue in ["a", "b"] if name is None else [name]:
            self.same(lambda store, q=queue: store.redrive(DeadFilter(queue=self.queue(q), code=code)))

    @rule(name=QUEUES, paused=st.booleans())
    def pause(self, name: str, paused: bool) -> None:  # noqa: FBT001 - as above
        self.same(lambda store: store.pause(self.queue(name)) if paused else store.resume(self.queue(name)))

    @rule(name=QUEUES, concurrency=st.sampled_from([None, 1, 3]))
    def limit(self, name: str, concurrency: int | None) -> None:
        self.same(lambda store: store.limit(self.queue(name), QueueLimits(concurrency=concurrency)))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def look(self, data: Any) -> None:
        job = data.draw(st.sampled_from(self.jobs))

        async def show(store: Store) -> Any:
            results = await store.results(job)
            chunks: list[Chunk] = await store.unprocessed(job)
            return (
                [(r.kind, r.places, r.items, r.body) for r in results if r.kind is not ResultKind.CANCELLED],
                # How cancelled items share results is each store's own.
                sorted(p for r in results if r.kind is ResultKind.CANCELLED for p in each_place(r.places)),
                sorted((c.places, c.body, c.attempt, c.crashes, c.key) for c in chunks),
            )

        self.same(show)

    @invariant()
    def all_jobs_are_the_same_and_add_up(self) -> None:
        async def show(store: Store) -> Any:
            found = []
            for job in self.jobs:
                row = await store.job(job)
                assert row is not None
                counts = row.counts
                parts = (counts.queued, counts.running, counts.succeeded, counts.failed, counts.cancelled)
                assert sum(parts) == counts.total
                assert min(parts) >= 0
                found.append((job, row.state, counts, row.finished_at is not None))
            return found

        self.same(show)

    @invariant()
    def all_queues_are_the_same(self) -> None:
        async def show(store: Store) -> Any:
            return [
                (q.name, q.is_paused, q.ready, q.scheduled, q.blocked, q.running, q.dead)
                for q in await store.queues()
                if q.name.startswith(self.prefix)
                and (q.ready or q.scheduled or q.blocked or q.running or q.dead)
            ]

        self.same(show)


def done(chunk: Chunk) -> NewResult:
    return NewResult(
        job=chunk.job, kind=ResultKind.SUCCEEDED, places=chunk.places, items=chunk.items, body=None
    )


def outcome(chunk: Chunk, picked: list[int], mark: int, chunks: list[Any], results: list[NewResult]) -> None:
    """0 succeeds, 1 is tried again, 2 is dead, 3 crashed."""
    part = pick(chunk, picked)
    kind = ResultKind.FAILED if mark == 2 else ResultKind.SUCCEEDED
    body = (part.body if chunk.keep_results else None) if mark == 0 else b"[]"
    result = NewResult(job=chunk.job, kind=kind, places=part.places, items=part.items, body=body)
    if mark == 0:
        results.append(result)
    elif mark == 1:
        chunks.append(pick(chunk, picked, attempt=chunk.attempt + 1))
    elif mark == 3:
        chunks.append(pick(chunk, picked, crashes=chunk.crashes + 1))
    else:
        chunks.append(pick(chunk, picked, attempt=chunk.attempt + 1, code="bad", error="no"))
        results.append(result)


def test_random_operations_show_the_same_as_the_reference(
    store_kind: str, request: pytest.FixtureRequest, tmp_path: Path, store_url: Any
) -> None:
    from gristmill.queue.url import store_from  # noqa: PLC0415 - only here

    async def open_store(stack: contextlib.AsyncExitStack) -> Store:
        store = store_from(await store_url(store_kind, request, tmp_path, stack))
        await store.open()
        stack.push_async_callback(store.close)
        return store

    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        Lockstep.runner = runner
        Lockstep.store = runner.run(open_store(stack))
        try:
            run_state_machine_as_test(
                Lockstep,
                settings=settings(
                    max_examples=40 if store_kind in ("memory", "sqlite") else 20,
                    stateful_step_count=30,
                    deadline=None,
                    derandomize=True,  # the same walks each time; a soak is where new ones are taken
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())
