"""Whose context a handler sees, and handlers that call themselves: edge cases 6 and 7."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from gristmill import BatchContext, batch
from gristmill.errors import BlockingCall, ReentrantBatch

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class TestContext:
    async def test_a_handler_never_sees_a_callers_context(self) -> None:
        seen: list[str] = []

        @batch
        async def peek(items: list[int]) -> list[int]:
            seen.append(tenant.get())
            return items

        tenant.set("first caller")
        await peek(1)
        assert seen == ["nobody"]

    async def test_what_a_handler_sets_does_not_reach_the_next_batch(self) -> None:
        seen: list[str] = []

        @batch
        async def leak(items: list[int]) -> list[int]:
            seen.append(tenant.get())
            tenant.set("leaked")
            return items

        await leak(1)
        await leak(2)
        assert seen == ["nobody", "nobody"]

    async def test_a_handler_sees_the_context_of_its_decoration(self) -> None:
        tenant.set("application")

        @batch
        async def peek(items: list[int]) -> list[str]:
            return [tenant.get() for _ in items]

        tenant.set("caller")
        assert await peek(1) == "application"

    async def test_each_items_context_is_shown_in_the_order_of_the_items(self) -> None:
        @batch
        async def who(items: list[int], ctx: BatchContext) -> list[str]:
            return [context[tenant] for context in ctx.contexts]

        async def caller(name: str) -> str:
            tenant.set(name)
            return await who(0)

        async def lister() -> list[str]:
            tenant.set("list")
            return await who.many([1, 2])

        assert await asyncio.gather(caller("a"), caller("b"), lister()) == ["a", "b", ["list", "list"]]

    async def test_a_sync_handler_in_a_thread_is_as_neutral(self) -> None:
        @batch
        def peek(items: list[int]) -> list[str]:
            return [tenant.get() for _ in items]

        tenant.set("caller")
        assert await peek(1) == "nobody"


class TestReentrancy:
    async def test_a_handler_that_calls_itself_is_answered(self) -> None:
        @batch(concurrency=1)
        async def countdown(items: list[int]) -> list[int]:
            return [0 if n == 0 else 1 + await countdown(n - 1) for n in items]

        assert await countdown(5) == 5
        assert countdown.stats().flushes["nested"] == 5

    async def test_also_from_a_task_it_started(self) -> None:
        @batch(concurrency=1)
        async def tree(items: list[int]) -> list[int]:
            parts = [asyncio.create_task(tree.many([n - 1])) for n in items if n]
            return [n + sum(map(sum, await asyncio.gather(*parts))) for n in items]

        assert await tree(3) == 6

    async def test_also_through_another_handler(self) -> None:
        @batch(concurrency=1)
        async def even(items: list[int]) -> list[bool]:
            return [True if n == 0 else await odd(n - 1) for n in items]

        @batch(concurrency=1)
        async def odd(items: list[int]) -> list[bool]:
            return [False if n == 0 else await even(n - 1) for n in items]

        assert await even(6) is True

    async def test_calls_to_itself_do_not_wait_for_each_others_slots(self) -> None:
        told = asyncio.Event()

        @batch(concurrency=1, max_size=1)
        async def handler(items: list[str]) -> list[str]:
            match items[0]:
                case "both":
                    await asyncio.gather(handler("listens"), handler("tells"))
                case "listens":
                    await told.wait()
                case "tells":
                    told.set()
            return items

        assert await handler("both") == "both"

    async def test_also_from_the_thread_of_a_sync_handler(self) -> None:
        @batch(concurrency=1)
        def countdown(items: list[int]) -> list[int]:
            return [0 if n == 0 else 1 + countdown.run(n - 1) for n in items]

        assert await countdown(3) == 3

    async def test_without_end_it_is_an_error(self) -> None:
        @batch
        async def forever(items: list[int]) -> list[int]:
            return [await forever(n) for n in items]

        with pytest.raises(Exception, match="forever") as caught:
            await forever(1)
        error: BaseException | None = caught.value
        while error is not None and not isinstance(error, ReentrantBatch):
            error = error.__cause__
        assert isinstance(error, ReentrantBatch)

    async def test_a_task_that_outlives_its_batch_calls_from_outside(self) -> None:
        late: list[asyncio.Task[int]] = []
        done = asyncio.Event()

        @batch
        async def handler(items: list[int]) -> list[int]:
            if items == [1]:
                late.append(asyncio.create_task(follow_up()))
            return items

        async def follow_up() -> int:
            await done.wait()
            return await handler(2)

        await handler(1)
        done.set()
        assert await late[0] == 2
        assert handler.stats().flushes.get("nested", 0) == 0

    async def test_the_loop_is_not_blocked_by_run(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        with pytest.raises(BlockingCall, match="await echo"):
            echo.run(1)
