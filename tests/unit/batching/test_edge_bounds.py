"""Room, deadlines, timers and fairness: edge cases 10 to 13."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gristmill import BatchContext, Linger, batch
from gristmill.errors import DeadlineExceeded, ItemTooHeavy, QueueFull

TAKES = 10.0  # virtual seconds

pytestmark = pytest.mark.looptime


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Gate:
    """A handler that waits until it is let go, and notes its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.open.wait()
        return items


class TestRoom:
    async def test_a_full_buffer_refuses_at_once(self) -> None:
        gate = Gate()
        slow = batch(max_pending=3, max_size=1, name="slow")(gate)
        waiters = [slow(n) for n in range(3)]
        with pytest.raises(QueueFull, match="max_pending=3"):
            slow(3)
        await turns()
        with pytest.raises(QueueFull):  # running items count too
            slow(3)
        gate.open.set()
        assert await asyncio.gather(*waiters) == [0, 1, 2]
        assert await slow(4) == 4
        assert slow.stats().items["rejected"] == 2

    async def test_a_cancelled_call_makes_room_at_once(self) -> None:
        gate = Gate()
        slow = batch(max_pending=2, max_size=1, name="slow")(gate)
        first, second = slow(1), slow(2)
        second.cancel()
        third = slow(3)
        gate.open.set()
        assert await asyncio.gather(first, third) == [1, 3]

    async def test_lists_wait_for_room_in_line_and_nobody_passes_them(self) -> None:
        gate = Gate()
        slow = batch(max_pending=4, max_size=4, name="slow")(gate)
        waiters = [slow(n) for n in range(3)]
        first = asyncio.create_task(slow.many([10, 11, 12]))
        second = asyncio.create_task(slow.many([20]))
        await turns()
        with pytest.raises(QueueFull):  # one place is free, but it is not this caller's turn
            slow(99)
        gate.open.set()
        assert await first == [10, 11, 12]
        assert await second == [20]
        assert await asyncio.gather(*waiters) == [0, 1, 2]

    async def test_a_cancelled_list_in_line_lets_the_next_one_in(self) -> None:
        gate = Gate()
        slow = batch(max_pending=4, max_size=4, name="slow")(gate)
        waiters = [slow(n) for n in range(3)]
        blocked = asyncio.create_task(slow.many([10, 11, 12]))
        small = asyncio.create_task(slow.many([20]))
        await turns()
        blocked.cancel()
        await turns()
        assert slow.stats().pending + slow.stats().running_items == 4
        gate.open.set()
        assert await small == [20]
        assert await asyncio.gather(*waiters) == [0, 1, 2]

    async def test_a_list_longer_than_the_room_still_goes(self) -> None:
        @batch(max_pending=5, max_size=3)
        async def echo(items: list[int]) -> list[int]:
            return items

        assert await echo.many(range(100)) == list(range(100))

    async def test_without_wait_a_list_is_refused_whole(self) -> None:
        gate = Gate()
        slow = batch(max_pending=4, name="slow")(gate)
        waiters = [slow(n) for n in range(3)]
        with pytest.raises(QueueFull):
            await slow.outcomes([1, 2, 3], wait=False)
        gate.open.set()
        await asyncio.gather(*waiters)
        assert sum(map(len, gate.batches)) == 3

    async def test_an_item_heavier_than_a_batch_is_refused(self) -> None:
        @batch(max_weight=10, weigh=len)
        async def sizes(items: list[str]) -> list[int]:
            return [len(i) for i in items]

        with pytest.raises(ItemTooHeavy, match="weight 11"):
            sizes("x" * 11)
        with pytest.raises(ItemTooHeavy):
            await sizes.many(["x", "x" * 11])
        assert await sizes("x" * 10) == 10

    async def test_weight_bounds_what_is_pending(self) -> None:
        gate = Gate()
        slow = batch(max_weight=10, weigh=abs, max_pending=100, max_size=100, name="slow")(gate)
        first = slow(9)
        with pytest.raises(QueueFull):
            slow(2)
        gate.open.set()
        assert await first == 9
        assert await slow(2) == 2


class TestDeadlines:
    async def test_an_item_that_waits_too_long_expires_before_dispatch(self, looptime) -> None:
        gate = Gate()
        slow = batch(timeout=TAKES, max_size=1, concurrency=1, name="slow")(gate)
        running, queued = slow(1), slow(2)
        await asyncio.sleep(TAKES / 2)
        late = slow(3)
        with pytest.raises(DeadlineExceeded, match="timeout of 10 s"):
            await queued
        assert looptime == TAKES
        assert isinstance(running.exception(), DeadlineExceeded)
        gate.open.set()
        assert await late == 3
        assert gate.batches == [[1], [3]]
        assert slow.stats().items["expired"] == 1
        assert slow.stats().errors == {"deadline_exceeded": 1}

    async def test_a_hanging_handler_is_stopped_and_its_slot_freed(self) -> None:
        stopped = asyncio.Event()

        @batch(timeout=TAKES, concurrency=1)
        async def hangs(items: list[int]) -> list[int]:
            if items == [2]:
                return items
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            return items

        with pytest.raises(DeadlineExceeded):
            await hangs(1)
        assert await hangs(2) == 2
        assert stopped.is_set()

    async def test_an_item_that_cannot_be_answered_in_time_any_more_fails_at_once(self) -> None:
        batches: list[list[int]] = []

        @batch(timeout=TAKES, max_size=1, concurrency=1, max_wait=Linger())
        async def slow(items: list[int]) -> list[int]:
            batches.append(items)
            await asyncio.sleep(4)
            return items

        for number in range(8):  # what a batch takes is learnt
            await slow(number)
        loop = asyncio.get_running_loop()
        began = loop.time()
        first, second, hopeless = slow(10), slow(11), slow(12)
        await first
        await asyncio.sleep(3)
        late = slow(13)
        with pytest.raises(DeadlineExceeded, match="timeout of 10 s"):
            await hopeless
        assert second.done()
        assert loop.time() - began == pytest.approx(8)
        assert await late == 13
        assert loop.time() - began == pytest.approx(12)
        assert batches[8:] == [[10], [11], [13]]
        assert slow.stats().items["expired"] == 1

    async def test_where_no_batch_is_expected_to_be_in_time_all_are_tried(self) -> None:
        @batch(timeout=TAKES, max_size=5, concurrency=1, max_wait=Linger())
        async def steady(items: list[int]) -> list[int]:
            await asyncio.sleep(4)
            return items

        for number in range(8):  # of batches of one, so five are expected to take five times as long
            await steady(number)
        assert await asyncio.gather(*map(steady, range(5))) == list(range(5))

    async def test_one_short_wait_left_does_not_end_the_batch_of_the_others(self, looptime) -> None:
        @batch(timeout=TAKES, concurrency=1, max_wait=TAKES - 1)
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(3)
            return items

        old = slow(1)
        await asyncio.sleep(5)
        young = slow(2)
        with pytest.raises(DeadlineExceeded):
            await old
        assert looptime == TAKES
        assert await young == 2
        assert looptime == TAKES + 2

    async def test_a_lists_clock_starts_with_its_batch(self, looptime) -> None:
        @batch(timeout=TAKES, max_size=1, concurrency=1)
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES - 1)
            return items

        assert await slow.many(range(5)) == list(range(5))
        assert looptime == 5 * (TAKES - 1)

    async def test_a_list_in_a_hanging_batch_expires_too(self, looptime) -> None:
        @batch(timeout=TAKES, concurrency=1)
        async def hangs(items: list[int]) -> list[int]:
            await asyncio.Event().wait()
            return items

        assert [o.code for o in await hangs.outcomes([1, 2])] == ["deadline_exceeded"] * 2
        assert looptime == TAKES
        assert hangs.stats().running_batches == 0

    async def test_the_handler_learns_the_earliest_deadline(self) -> None:
        seen: list[float | None] = []

        @batch(timeout=TAKES, max_wait=2.0)
        async def peek(items: list[int], ctx: BatchContext) -> list[int]:
            seen.append(ctx.deadline)
            return items

        first = peek(1)
        await asyncio.sleep(1)
        await asyncio.gather(first, peek(2))
        assert seen == [TAKES]

    async def test_without_timeout_nothing_expires(self, looptime) -> None:
        @batch(timeout=None)
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(1000)
            return items

        assert await slow(1) == 1
        assert looptime == 1000


class TestTimers:
    async def test_the_linger_counts_from_the_oldest_item(self, looptime) -> None:
        sent: list[tuple[float, list[int]]] = []

        @batch(max_wait=TAKES)
        async def note(items: list[int]) -> list[int]:
            sent.append((asyncio.get_running_loop().time(), items))
            return items

        waiters = []
        for n in range(4):
            waiters.append(note(n))
            await asyncio.sleep(4)
        await asyncio.gather(*waiters)
        assert sent == [(10.0, [0, 1, 2]), (22.0, [3])]

    async def test_the_linger_counts_from_the_oldest_live_item(self) -> None:
        sent: list[float] = []

        @batch(max_wait=TAKES)
        async def note(items: list[int]) -> list[int]:
            sent.append(asyncio.get_running_loop().time())
            return items

        first = note(1)
        await asyncio.sleep(4)
        second = note(2)
        first.cancel()
        await second
        assert sent == [14.0]

    async def test_a_full_batch_does_not_wait(self, looptime) -> None:
        @batch(max_wait=TAKES, max_size=3)
        async def echo(items: list[int]) -> list[int]:
            return items

        assert await asyncio.gather(*map(echo, range(3))) == [0, 1, 2]
        assert looptime == 0
        assert echo.stats().flushes == {"size": 1}

    async def test_a_batch_of_full_weight_does_not_wait(self, looptime) -> None:
        @batch(max_wait=TAKES, max_weight=10, weigh=abs)
        async def echo(items: list[int]) -> list[int]:
            return items

        assert await asyncio.gather(*map(echo, (4, 6))) == [4, 6]
        assert looptime == 0
        assert echo.stats().flushes == {"weight": 1}

    async def test_nothing_is_scheduled_while_idle(self) -> None:
        @batch(max_wait=TAKES)
        async def echo(items: list[int]) -> list[int]:
            return items

        await echo(1)
        await turns()
        loop = asyncio.get_running_loop()
        assert [h for h in loop._scheduled if not h.cancelled()] == []  # type: ignore[attr-defined]  # noqa: SLF001 - what a loop holds has no public name
        assert not loop._ready  # type: ignore[attr-defined]  # noqa: SLF001 - as above


class TestFairness:
    async def test_a_long_list_does_not_starve_a_lone_call(self) -> None:
        order: list[list[int]] = []

        @batch(max_size=10, concurrency=1)
        async def echo(items: list[int]) -> list[int]:
            order.append(items)
            await asyncio.sleep(1)
            return items

        many = asyncio.create_task(echo.many(range(1000)))
        await asyncio.sleep(0.5)
        assert await echo(-1) == -1
        assert [-1 in items for items in order] == [False, True]
        await many

    async def test_lone_calls_do_not_starve_a_list(self) -> None:
        gate = Gate()
        slow = batch(max_size=10, concurrency=1, name="slow")(gate)
        first = slow(0)
        await turns()
        waiters = [slow(n) for n in range(1, 41)]
        listed = asyncio.create_task(slow.many(range(100, 110)))
        await turns()
        gate.open.set()
        await asyncio.gather(first, *waiters, listed)
        assert gate.batches[1] == [1, 2, 3, 4, 5, 100, 101, 102, 103, 104]

    async def test_lists_take_turns(self) -> None:
        gate = Gate()
        slow = batch(max_size=4, concurrency=1, name="slow")(gate)
        first = slow(0)
        await turns()
        lists = [asyncio.create_task(slow.many(range(start, start + 8))) for start in (100, 200)]
        await turns()
        gate.open.set()
        await asyncio.gather(first, *lists)
        assert [b[0] // 100 for b in gate.batches[1:]] == [1, 2, 1, 2]

    async def test_keys_take_turns_and_never_mix(self) -> None:
        gate = Gate()
        slow = batch(max_size=4, concurrency=1, key=lambda n: n // 100, name="slow")(gate)
        waiters = [slow(0)]
        await turns()
        waiters += [slow(100 + n) for n in range(8)] + [slow(200)]
        gate.open.set()
        await asyncio.gather(*waiters)
        assert [{n // 100 for n in b} for b in gate.batches] == [{0}, {1}, {2}, {1}]

    async def test_one_key_keeps_its_order(self) -> None:
        gate = Gate()
        slow = batch(max_size=3, concurrency=1, name="slow")(gate)
        waiters = [slow(n) for n in range(10)]
        gate.open.set()
        await asyncio.gather(*waiters)
        assert list(itertools.chain(*gate.batches)) == list(range(10))
