"""Closing, draining, and users' functions that raise: edge cases 14 and 15."""

from __future__ import annotations

import asyncio

import pytest

from gristmill import Failed, batch
from gristmill.errors import BatcherClosed, HandlerFailed, ItemFailed

TAKES = 10.0  # virtual seconds

pytestmark = pytest.mark.looptime


class TestClosing:
    async def test_a_drain_answers_what_is_pending_without_linger(self, looptime) -> None:
        @batch(max_wait=TAKES)
        async def echo(items: list[int]) -> list[int]:
            return items

        waiter = echo(1)
        await echo.aclose()
        assert waiter.result() == 1
        assert looptime == 0
        assert echo.stats().flushes == {"drain": 1}

    async def test_a_closed_handler_refuses_at_once(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        await echo.aclose()
        with pytest.raises(BatcherClosed):
            echo(1)
        with pytest.raises(BatcherClosed):
            await echo.many([1])
        with pytest.raises(BatcherClosed):
            [o async for o in echo.stream([1])]

    async def test_while_it_drains_it_refuses(self) -> None:
        @batch
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES)
            return items

        waiter = slow(1)
        closing = asyncio.create_task(slow.aclose())
        await asyncio.sleep(1)
        with pytest.raises(BatcherClosed):
            slow(2)
        await closing
        assert waiter.result() == 1

    async def test_those_who_stand_in_line_for_room_are_sent_away(self) -> None:
        @batch(max_pending=1)
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES)
            return items

        first = slow(1)
        blocked = asyncio.create_task(slow.many([2]))
        await asyncio.sleep(1)
        await slow.aclose()
        with pytest.raises(BatcherClosed):
            await blocked
        assert first.result() == 1

    async def test_after_the_timeout_the_rest_fails_and_what_runs_is_cancelled(self, looptime) -> None:
        cancelled = asyncio.Event()

        @batch(max_size=1, concurrency=1, timeout=None)
        async def hangs(items: list[int]) -> list[int]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return items

        waiters = [hangs(n) for n in range(3)]
        await hangs.aclose(timeout=TAKES)
        assert looptime == TAKES
        errors = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(e) for e in errors] == [BatcherClosed] * 3
        await asyncio.sleep(0)
        assert cancelled.is_set()

    async def test_without_drain_the_rest_fails_at_once(self, looptime) -> None:
        @batch(max_wait=TAKES)
        async def echo(items: list[int]) -> list[int]:
            return items

        single, listed = echo(1), asyncio.create_task(echo.many([2]))
        await asyncio.sleep(1)
        await echo.aclose(drain=False)
        with pytest.raises(BatcherClosed):
            await single
        with pytest.raises(Exception, match="failed") as caught:
            await listed
        assert caught.group_contains(BatcherClosed)
        assert looptime == 1

    async def test_closing_twice_and_at_once_and_unused_is_fine(self) -> None:
        @batch
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES)
            return items

        @batch
        async def unused(items: list[int]) -> list[int]:
            return items

        waiter = slow(1)
        await asyncio.gather(slow.aclose(), slow.aclose(), unused.aclose())
        await slow.aclose()
        assert waiter.result() == 1

    async def test_async_with_closes(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        async with echo:
            waiter = echo(1)
        assert waiter.result() == 1
        with pytest.raises(BatcherClosed):
            echo(2)

    def test_it_closes_for_its_own_loop_only(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        async def close() -> None:
            await echo.aclose()

        async def call() -> int:
            return await echo(1)

        asyncio.run(close())
        assert asyncio.run(call()) == 1


class TestUsersFunctions:
    @pytest.mark.parametrize("option", ["key", "weigh", "dedupe"])
    async def test_what_they_raise_goes_to_the_caller_alone(self, option: str) -> None:
        def picky(item: int) -> int:
            if item < 0:
                raise ValueError("negative")
            return item

        limits = {option: picky, **({"max_weight": 100} if option == "weigh" else {})}

        @batch(**limits)
        async def echo(items: list[int]) -> list[int]:
            return items

        good = echo(1)
        with pytest.raises(ValueError, match="negative"):
            echo(-1)
        with pytest.raises(ValueError, match="negative"):
            await echo.many([2, -2])
        with pytest.raises(ValueError, match="negative"):
            [o async for o in echo.stream([3, -3])]
        assert await good == 1
        assert await echo(4) == 4

    async def test_an_unhashable_key_says_what_to_do(self) -> None:
        @batch(dedupe=True)
        async def echo(items: list[list[int]]) -> list[int]:
            return [1 for _ in items]

        with pytest.raises(TypeError, match="give a function of the item"):
            echo([1])

    async def test_each_item_is_weighed_once(self) -> None:
        weighed: list[int] = []

        def weigh(item: int) -> int:
            weighed.append(item)
            return 1

        @batch(weigh=weigh, max_weight=3, max_size=100)
        async def echo(items: list[int]) -> list[int]:
            return items

        await asyncio.gather(*map(echo, range(10)))
        assert sorted(weighed) == list(range(10))


class TestDedupe:
    async def test_equal_items_of_a_batch_are_sent_once(self) -> None:
        seen: list[list[int]] = []

        @batch(dedupe=True)
        async def square(items: list[int]) -> list[int]:
            seen.append(items)
            return [n * n for n in items]

        assert await asyncio.gather(*map(square, (2, 3, 2, 2))) == [4, 9, 4, 4]
        assert await square.many([5, 5, 6]) == [25, 25, 36]
        assert seen == [[2, 3], [5, 6]]

    async def test_the_leaders_cancellation_does_not_cancel_the_followers(self) -> None:
        @batch(dedupe=True)
        async def square(items: list[int]) -> list[int]:
            await asyncio.sleep(1)
            return [n * n for n in items]

        leader, follower = square(2), square(2)
        await asyncio.sleep(0.5)
        leader.cancel()
        assert await follower == 4

    async def test_each_gets_a_failure_of_its_own(self) -> None:
        @batch(dedupe=True)
        async def none(items: list[int]) -> list[Failed]:
            return [Failed("gone", code="gone") for _ in items]

        first, second = await asyncio.gather(none(1), none(1), return_exceptions=True)
        assert type(first) is type(second) is ItemFailed
        assert first is not second
        assert str(second) == "gone"
        assert second.code == "gone"

    async def test_duplicates_are_free_of_size_and_weight(self) -> None:
        seen: list[list[int]] = []

        @batch(dedupe=True, max_size=2, weigh=abs, max_weight=100)
        async def echo(items: list[int]) -> list[int]:
            seen.append(items)
            return items

        await asyncio.gather(*map(echo, (1, 1, 1, 2, 3)))
        assert seen == [[1, 2], [3]]

    async def test_what_cannot_be_compared_is_sent_each_for_itself(self) -> None:
        class Item:
            def __hash__(self) -> int:
                return 1

            def __eq__(self, other: object) -> bool:
                raise ValueError("no")

        sizes: list[int] = []

        @batch(dedupe=True)
        async def count(items: list[Item]) -> list[int]:
            sizes.append(len(items))
            return list(range(len(items)))

        async with asyncio.timeout(10):
            answers = await asyncio.gather(count(Item()), count(Item()))
            listed = await count.many([Item(), Item()])
        assert answers == listed == [0, 1]
        assert sizes == [2, 2]

    async def test_a_raise_fails_followers_too(self) -> None:
        @batch(dedupe=True)
        async def broken(items: list[int]) -> list[int]:
            raise ValueError("boom")

        errors = await asyncio.gather(broken(1), broken(1), return_exceptions=True)
        assert [type(e) for e in errors] == [HandlerFailed] * 2
        assert errors[0] is not errors[1]
