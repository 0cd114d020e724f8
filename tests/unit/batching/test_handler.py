"""The ways in from Python: calls, lists, streams, threads; retries, poison items, methods."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gristmill import (
    Adaptive,
    BatchContext,
    Failed,
    Inline,
    Linger,
    Ok,
    Processes,
    Retry,
    Threads,
    batch,
)
from gristmill.errors import (
    ConfigurationError,
    HandlerFailed,
    ItemFailed,
    ManyFailed,
    WorkerDied,
)

TAKES = 10.0  # virtual seconds


@batch
async def module_level(items: list[int]) -> list[int]:
    """Double each."""
    return [2 * n for n in items]


@batch(executor=Processes(1))
def in_a_process(items: list[int]) -> list[int]:
    if 13 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return [2 * n for n in items]


class TestCalls:
    async def test_calls_of_one_turn_share_a_batch(self) -> None:
        seen: list[list[int]] = []

        @batch
        async def echo(items: list[int]) -> list[int]:
            seen.append(items)
            return items

        assert await asyncio.gather(*map(echo, range(5))) == [0, 1, 2, 3, 4]
        assert seen == [[0, 1, 2, 3, 4]]

    @pytest.mark.looptime
    async def test_items_wait_for_a_slot_and_the_batch_grows_meanwhile(self) -> None:
        """Late forming: nothing is cut into batches before it can run."""
        seen: list[int] = []

        @batch(concurrency=1, max_size=100)
        async def slow(items: list[int]) -> list[int]:
            seen.append(len(items))
            await asyncio.sleep(TAKES)
            return items

        waiters = []
        for n in range(30):
            waiters.append(slow(n))
            await asyncio.sleep(1)
        await asyncio.gather(*waiters)
        assert seen == [1, 10, 10, 9]

    @pytest.mark.looptime
    async def test_the_late_forming_load_takes_at_most_13_batches(self) -> None:
        """500 calls at 500/s, 100 ms a batch, a window of 10 ms: peers that form early need 92 and more."""
        sizes: list[int] = []

        @batch(max_size=100, max_wait=0.01, concurrency=1)
        async def slow(items: list[int]) -> list[int]:
            sizes.append(len(items))
            await asyncio.sleep(0.1)
            return items

        waiters = []
        for n in range(500):
            waiters.append(slow(n))
            await asyncio.sleep(0.002)
        assert await asyncio.gather(*waiters) == list(range(500))
        assert len(sizes) <= 13

    @pytest.mark.looptime
    async def test_concurrency_bounds_the_batches_in_flight(self) -> None:
        running = most = 0

        @batch(concurrency=3, max_size=1, timeout=None)
        async def slow(items: list[int]) -> list[int]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(TAKES)
            running -= 1
            return items

        await asyncio.gather(*map(slow, range(10)))
        assert most == 3

    async def test_the_ticket_knows_its_batch(self) -> None:
        first, second = module_level.ticket(1), module_level.ticket(2)
        assert first.batch is None
        assert await asyncio.gather(first, second) == [2, 4]
        assert first.batch is not None
        assert second.batch is not None
        assert first.batch.size == 2
        assert first.batch.id == second.batch.id
        assert first.queue_seconds >= 0 <= first.batch.handler_seconds

    async def test_func_is_the_plain_function(self) -> None:
        assert await module_level.func([1, 2]) == [2, 4]
        assert module_level.name == "module_level"
        assert module_level.description == "Double each."
        assert (module_level.item_type, module_level.result_type) == (int, int)

    def test_a_handler_at_module_level_can_be_pickled(self) -> None:
        assert pickle.loads(pickle.dumps(module_level)) is module_level  # noqa: S301 - our own bytes


class TestMany:
    async def test_values_come_in_the_order_of_the_items(self) -> None:
        @batch(max_size=7, concurrency=3)
        async def double(items: list[int]) -> list[int]:
            await asyncio.sleep(0)
            return [2 * n for n in items]

        assert await double.many(range(100)) == [2 * n for n in range(100)]

    async def test_failures_say_where_and_keep_the_rest(self) -> None:
        @batch(max_size=3)
        async def some(items: list[int]) -> list[int | Failed]:
            return [Failed(f"no {n}") if n % 4 == 0 else n for n in items]

        with pytest.raises(ManyFailed, match="3 of 10 items failed, at 0, 4, 8") as caught:
            await some.many(range(10))
        assert list(caught.value.errors) == [0, 4, 8]
        assert caught.value.values[3] == 3
        assert caught.group_contains(ItemFailed, match="no 8")

    async def test_exceptions_in_place_on_request(self) -> None:
        @batch
        async def some(items: list[int]) -> list[int | Failed]:
            return [Failed("no", code="no") if n == 1 else n for n in items]

        first, second = await some.many([0, 1], return_exceptions=True)
        assert first == 0
        assert isinstance(second, ItemFailed)
        assert await some.outcomes([0, 1]) == [Ok(0), Failed("no", code="no")]

    async def test_nothing_makes_no_call(self) -> None:
        @batch
        async def never(items: list[int]) -> list[int]:
            raise AssertionError

        assert await never.many([]) == []
        assert never.stats().batches == 0

    async def test_keys_split_a_list_and_its_order_is_kept(self) -> None:
        seen: list[list[int]] = []

        @batch(key=lambda n: n % 3)
        async def echo(items: list[int]) -> list[int]:
            seen.append(items)
            return items

        assert await echo.many(range(9)) == list(range(9))
        assert sorted(seen) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]

    async def test_weights_split_a_list(self) -> None:
        seen: list[list[int]] = []

        @batch(weigh=abs, max_weight=10)
        async def echo(items: list[int]) -> list[int]:
            seen.append(items)
            return items

        assert await echo.many([4, 4, 4, 10, 1]) == [4, 4, 4, 10, 1]
        assert seen == [[4, 4], [4], [10], [1]]
        assert echo.stats().flushes["weight"] == 3


class TestStream:
    async def test_outcomes_come_in_order(self) -> None:
        @batch(max_size=10, concurrency=2)
        async def some(items: list[int]) -> list[int | Failed]:
            return [Failed("odd") if n % 2 else n for n in items]

        found = [o async for o in some.stream(range(100))]
        assert found == [Failed("odd") if n % 2 else Ok(n) for n in range(100)]

    async def test_unordered_they_carry_their_index(self) -> None:
        async def source() -> AsyncIterator[int]:
            for n in range(25):
                yield 10 * n

        found = {index: outcome async for index, outcome in module_level.stream(source(), ordered=False)}
        assert found == {n: Ok(20 * n) for n in range(25)}

    @pytest.mark.looptime
    async def test_a_slow_item_does_not_hold_up_unordered_ones(self) -> None:
        @batch(max_size=1, concurrency=2)
        async def uneven(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES if items == [0] else 1)
            return items

        order = [index async for index, _ in uneven.stream(range(4), ordered=False)]
        assert order == [1, 2, 3, 0]

    async def test_the_source_is_not_read_ahead_of_the_consumer(self) -> None:
        read = 0

        def source() -> Any:
            nonlocal read
            for n in range(100_000):
                read += 1
                yield n

        @batch(max_size=10, concurrency=1)
        async def echo(items: list[int]) -> list[int]:
            return items

        taken = 0
        async for _ in echo.stream(source()):
            taken += 1
            assert read - taken <= 21
            if taken == 200:
                break
        assert read < 300

    async def test_an_early_end_closes_the_source_and_leaves_no_room_taken(self) -> None:
        closed = False

        async def source() -> AsyncIterator[int]:
            nonlocal closed
            try:
                n = 0
                while True:
                    yield n
                    n += 1
            finally:
                closed = True

        @batch(max_size=5, max_pending=20)
        async def echo(items: list[int]) -> list[int]:
            await asyncio.sleep(0)
            return items

        stream = echo.stream(source())
        async for outcome in stream:
            if outcome == Ok(12):
                break
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator, typed as an iterator
        assert closed
        assert await echo.many(range(40)) == list(range(40))
        assert echo.stats().pending == 0

    async def test_what_the_source_raises_comes_after_what_it_gave(self) -> None:
        def source() -> Any:
            yield 1
            yield 2
            raise OSError("disk gone")

        outcomes = module_level.stream(source())
        assert [await anext(outcomes), await anext(outcomes)] == [Ok(2), Ok(4)]
        with pytest.raises(OSError, match="disk gone"):
            await anext(outcomes)

    @pytest.mark.looptime
    async def test_an_item_is_sent_without_waiting_for_the_next(self, looptime) -> None:
        async def source() -> AsyncIterator[int]:
            for n in range(3):
                yield n
                await asyncio.sleep(TAKES)

        loop = asyncio.get_running_loop()
        times = [loop.time() async for _ in module_level.stream(source())]
        assert times == [0, TAKES, 2 * TAKES]


@pytest.mark.looptime
class TestRetry:
    async def test_only_the_failed_items_are_tried_again(self, looptime) -> None:
        calls: list[tuple[int, list[int]]] = []

        @batch(retry=Retry(attempts=3, base=1.0, cap=1.0))
        async def flaky(items: list[int], ctx: BatchContext) -> list[int | Failed]:
            calls.append((ctx.attempt, items))
            return [Failed("busy", retryable=True) if n % 2 and ctx.attempt < 3 else n for n in items]

        assert await asyncio.gather(*map(flaky, range(4))) == [0, 1, 2, 3]
        assert calls == [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [1, 3])]
        assert flaky.stats().flushes["retry"] == 2
        assert looptime <= 2.0

    async def test_the_last_failure_is_the_answer(self) -> None:
        @batch(retry=Retry(attempts=2, base=0.1))
        async def busy(items: list[int]) -> list[Failed]:
            return [Failed("busy", code="busy", retryable=True) for _ in items]

        with pytest.raises(ItemFailed, match="busy"):
            await busy(1)
        assert busy.stats().batches == 2

    async def test_what_is_not_retryable_is_not_tried_again(self) -> None:
        @batch(retry=Retry(attempts=5))
        async def taken(items: list[int]) -> list[Failed]:
            return [Failed("taken") for _ in items]

        with pytest.raises(ItemFailed):
            await taken(1)
        assert taken.stats().batches == 1

    async def test_a_raise_is_tried_again(self) -> None:
        @batch(retry=Retry(attempts=3, base=1.0))
        async def flaky(items: list[int], ctx: BatchContext) -> list[int]:
            if ctx.attempt < 3:
                raise ConnectionError("away")
            return items

        assert await flaky.many([1, 2]) == [1, 2]
        assert flaky.stats().errors == {"handler_error": 2}

    async def test_the_slot_is_free_while_a_retry_waits(self) -> None:
        @batch(concurrency=1, retry=Retry(attempts=2, base=1000.0, cap=1000.0), timeout=None)
        async def flaky(items: list[int], ctx: BatchContext) -> list[int | Failed]:
            return [Failed("busy", retryable=True) if n == 0 and ctx.attempt == 1 else n for n in items]

        slow = flaky(0)
        await asyncio.sleep(0)
        assert await flaky(1) == 1
        assert await slow == 0

    async def test_a_cancelled_item_is_not_tried_again(self) -> None:
        @batch(retry=Retry(attempts=2, base=5.0))
        async def busy(items: list[int]) -> list[Failed]:
            return [Failed("busy", retryable=True) for _ in items]

        waiter = busy(1)
        for _ in range(4):
            await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.sleep(6.0)
        assert busy.stats().batches == 1
        assert busy.stats().items["cancelled"] == 1

    async def test_the_timeout_covers_the_retries(self, looptime) -> None:
        @batch(retry=Retry(attempts=1000, base=1.0, cap=1.0, factor=1.0), timeout=TAKES)
        async def busy(items: list[int]) -> list[Failed]:
            return [Failed("busy", retryable=True) for _ in items]

        with pytest.raises(TimeoutError):
            await busy(1)
        assert looptime == TAKES


class TestBisect:
    @pytest.mark.parametrize("poison", [set(), {0}, {37}, {99}, {3, 4}, {10, 60, 90}])
    async def test_poison_items_stand_alone(self, poison: set[int]) -> None:
        calls = 0

        @batch(on_error="bisect", max_size=100)
        async def picky(items: list[int]) -> list[int]:
            nonlocal calls
            calls += 1
            if poison & set(items):
                raise ValueError("poison")
            return items

        found = await picky.many(range(100), return_exceptions=True)
        assert {n for n, value in enumerate(found) if isinstance(value, HandlerFailed)} == poison
        assert [v for v in found if not isinstance(v, Exception)] == [
            n for n in range(100) if n not in poison
        ]
        assert calls <= 1 + 2 * 7 * len(poison)

    async def test_a_lost_connection_is_not_bisected(self) -> None:
        @batch(on_error="bisect")
        async def away(items: list[int]) -> list[int]:
            raise ConnectionError("away")

        await asyncio.gather(*map(away, range(50)), return_exceptions=True)
        assert away.stats().batches == 1

    async def test_contexts_are_those_of_the_half(self) -> None:
        sizes: list[tuple[int, int]] = []

        @batch(on_error="bisect")
        async def picky(items: list[int], ctx: BatchContext) -> list[int]:
            sizes.append((len(items), len(ctx.contexts)))
            if 3 in items:
                raise ValueError
            return items

        await picky.many(range(4), return_exceptions=True)
        assert all(items == contexts for items, contexts in sizes)


class TestWaiting:
    @pytest.mark.looptime
    async def test_linger_waits_as_long_as_a_call_is_worth(self) -> None:
        sent: list[tuple[float, int]] = []

        @batch(max_wait=Linger(cost=1.0, max_wait=100.0), max_size=1000, concurrency=2, timeout=None)
        async def store(items: list[int]) -> list[int]:
            sent.append((asyncio.get_running_loop().time(), len(items)))
            await asyncio.sleep(5.0 + 0.1 * len(items))
            return items

        for size in (1, 10, 1, 20, 5):  # to learn from
            await store.many(range(size))
        learnt = store.stats().sizing
        assert learnt is not None
        assert learnt.fixed_cost == pytest.approx(5.0, rel=0.05)
        began = asyncio.get_running_loop().time()
        await store(1)
        assert sent[-1][0] - began == pytest.approx(5.0, rel=0.1)

    @pytest.mark.looptime
    async def test_adaptive_size_grows_to_where_the_fixed_cost_is_paid(self) -> None:
        @batch(max_size=Adaptive(start=4), timeout=None, max_pending=1_000_000)
        async def store(items: list[int]) -> list[int]:
            await asyncio.sleep(0.005 + 0.0001 * len(items))
            return items

        await store.many(range(20_000))
        sizing = store.stats().sizing
        assert sizing is not None
        assert 300 <= sizing.cap <= 600


class TestExecutors:
    async def test_a_sync_handler_does_not_block_the_loop(self) -> None:
        entered, leave = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        @batch
        def slow(items: list[int]) -> list[int]:
            loop.call_soon_threadsafe(entered.set)
            leave.wait()
            return items

        waiter = slow(1)
        await entered.wait()  # the loop turns while the handler blocks
        leave.set()
        assert await waiter == 1

    async def test_inline_runs_a_sync_handler_on_the_loop(self) -> None:
        @batch(executor=Inline())
        def where(items: list[int]) -> list[int]:
            return [threading.get_ident() for _ in items]

        assert await where(1) == threading.get_ident()

    async def test_the_executors_slots_are_the_default_concurrency(self) -> None:
        @batch(executor=Threads(3))
        def work(items: list[int]) -> list[int]:
            return items

        @batch(executor=Threads(3), concurrency=2)
        def less(items: list[int]) -> list[int]:
            return items

        assert (work.stats().slots, less.stats().slots) == (3, 2)

    async def test_a_worker_process_that_dies_costs_its_batch(self) -> None:
        assert await in_a_process(4) == 8
        with pytest.raises(WorkerDied):
            await in_a_process(13)
        assert await in_a_process(5) == 10
        assert in_a_process.stats().errors == {"worker_died": 1}

    async def test_bisect_finds_the_item_that_kills_the_worker(self) -> None:
        safe = batch(on_error="bisect", executor=Processes(1))(in_a_process.func)
        found = await safe.many([1, 13, 2], return_exceptions=True)
        assert found[0] == 2
        assert isinstance(found[1], WorkerDied)
        assert found[2] == 4


class Users:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
        self.batches: list[list[str]] = []

    @batch(max_size=10)
    async def greet(self, names: list[str]) -> list[str]:
        """Greet each."""
        self.batches.append(names)
        return [f"{self.greeting} {name}" for name in names]

    @batch
    async def with_context(self, names: list[str], ctx: BatchContext) -> list[int]:
        return [ctx.attempt for _ in names]


class TestMethods:
    async def test_each_instance_has_its_own_batches(self) -> None:
        hello, bye = Users("hello"), Users("bye")
        found = await asyncio.gather(hello.greet("a"), bye.greet("b"), hello.greet("c"))
        assert found == ["hello a", "bye b", "hello c"]
        assert (hello.batches, bye.batches) == ([["a", "c"]], [["b"]])
        assert hello.greet is hello.greet

    async def test_a_context_works_on_methods_too(self) -> None:
        assert await Users("x").with_context("a") == 1

    async def test_copies_and_pickles_start_with_handlers_of_their_own(self) -> None:
        first = Users("hello")
        await first.greet("a")
        second = copy.copy(first)
        second.greeting, second.batches = "bye", []
        assert await second.greet("b") == "bye b"
        third = pickle.loads(pickle.dumps(first))  # noqa: S301 - our own bytes
        assert await third.greet("c") == "hello c"
        assert await copy.deepcopy(first).greet("d") == "hello d"

    async def test_slots_without_a_dict_say_what_to_do(self) -> None:
        class Slotted:
            __slots__ = ("x",)

            @batch
            async def greet(self, names: list[str]) -> list[str]:
                return names

        with pytest.raises(ConfigurationError, match="__dict__"):
            Slotted().greet  # noqa: B018 - the access is what raises

    async def test_an_instance_is_not_kept_alive(self) -> None:
        users = Users("hello")
        await users.greet("a")
        await asyncio.sleep(0)  # the batch's task takes its leave of the loop
        gone = weakref.ref(users)
        del users
        gc.collect()
        assert gone() is None


class TestStats:
    @pytest.mark.looptime
    async def test_they_tell_what_waits_and_what_runs(self) -> None:
        @batch(max_size=2, concurrency=1, timeout=None)
        async def slow(items: list[int]) -> list[int]:
            await asyncio.sleep(TAKES)
            return items

        waiters = [slow(n) for n in range(5)]
        await asyncio.sleep(4)
        now = slow.stats()
        assert (now.pending, now.running_batches, now.running_items, now.slots) == (3, 1, 2, 1)
        assert now.oldest_age == 4
        await asyncio.gather(*waiters)
        end = slow.stats()
        assert (end.pending, end.running_batches, end.oldest_age, end.batches) == (0, 0, 0.0, 3)
        assert end.items["ok"] == 5
        assert end.flushes == {"size": 2, "idle": 1}
        assert end.batch_size.total == 5
        assert end.batch_duration.total == pytest.approx(3 * TAKES)
        assert end.queue_wait.total == pytest.approx(2 * TAKES + 2 * TAKES)
        assert (now.batches, now.items["ok"]) == (0, 0)  # a snapshot stays as it was
