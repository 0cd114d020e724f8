"""Leases that live, die and are taken over."""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill.model.chunk import pick
from gristmill.model.lease import Claim, Settled, Settlement


async def test_a_live_lease_is_not_taken_over(queue: Any) -> None:
    await queue.submit(1)
    claim = await queue.claim(seconds=60)
    assert await queue.store.take_over(worker="r", seconds=60) is None
    assert await queue.store.renew([claim.lease], 60) == set()


async def test_a_renewed_lease_lives_on(queue: Any) -> None:
    await queue.submit(1)
    claim = await queue.claim(seconds=0)
    assert await queue.store.renew([claim.lease], 60) == set()
    assert await queue.store.take_over(worker="r", seconds=60) is None
    assert await queue.succeed(claim) is Settled.SETTLED


async def test_renewing_tells_which_leases_are_lost(queue: Any) -> None:
    await queue.submit(40, chunk=10)
    dead, settled, released, live = [await queue.claim(items=10, seconds=0) for _ in range(4)]
    await queue.succeed(settled)
    await queue.store.release(released.lease)
    await queue.store.renew([live.lease], 60)
    taken = await queue.store.take_over(worker="r", seconds=60)
    assert isinstance(taken, Claim)
    assert taken.chunks == dead.chunks
    leases = [each.lease for each in (dead, settled, released, live)]
    assert await queue.store.renew([*leases, 987654321], 60) == {*leases[:3], 987654321}
    assert await queue.store.renew([], 60) == set()


async def test_a_late_settlement_counts_while_nobody_else_has_the_items(queue: Any) -> None:
    job = await queue.submit(1)
    claim = await queue.claim(seconds=0)
    assert await queue.succeed(claim) is Settled.SETTLED
    assert await queue.store.take_over(worker="r", seconds=60) is None
    assert await queue.counts(job) == (0, 0, 1, 0, 0)


async def test_a_dead_lease_is_taken_over_once(queue: Any) -> None:
    await queue.submit(1)
    await queue.claim(seconds=0)
    found = await asyncio.gather(*(queue.store.take_over(worker="r", seconds=60) for _ in range(5)))
    assert sum(each is not None for each in found) == 1


async def test_every_dead_lease_is_taken_over(queue: Any) -> None:
    await queue.submit(50, chunk=10)
    for _ in range(5):
        await queue.claim(items=10, seconds=0)
    taken = 0
    while await queue.store.take_over(worker="r", seconds=60):
        taken += 1
    assert taken == 5


async def test_a_lease_that_was_taken_over_can_die_again(queue: Any) -> None:
    job = await queue.submit(4)
    await queue.claim(seconds=0)
    second = await queue.store.take_over(worker="r", seconds=0)
    third = await queue.store.take_over(worker="r", seconds=60)
    assert third.lease != second.lease
    assert await queue.succeed(second) is Settled.STALE
    assert await queue.succeed(third) is Settled.SETTLED
    assert await queue.counts(job) == (0, 0, 4, 0, 0)


async def test_halves_of_a_crashed_chunk_come_alone(queue: Any) -> None:
    await queue.submit(8)
    claim = await queue.claim()
    (chunk,) = claim.chunks
    halves = tuple(pick(chunk, part, crashes=1) for part in ([0, 1, 2, 3], [4, 5, 6, 7]))
    await queue.store.settle(Settlement(lease=claim.lease, chunks=halves))
    await queue.submit(5)
    claims = [await queue.claim() for _ in range(3)]
    assert [[c.items for c in claim.chunks] for claim in claims] == [[4], [4], [5]]
    assert [claim.chunks[0].crashes for claim in claims] == [1, 1, 0]
    assert claims[0].more


async def test_healthy_chunks_before_a_crashed_one_are_claimed_without_it(queue: Any) -> None:
    await queue.submit(2, priority=4)
    claim = await queue.claim()
    crashed = pick(claim.chunks[0], [0, 1], crashes=2)
    await queue.store.settle(Settlement(lease=claim.lease, chunks=(crashed,)))
    for _ in range(2):
        await queue.submit(3, priority=0)
    first, second = [await queue.claim() for _ in range(2)]
    assert [c.items for c in first.chunks] == [3, 3]
    assert [c.items for c in second.chunks] == [2]
