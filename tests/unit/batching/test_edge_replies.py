"""Replies that are no list of results: edge cases 3, 4 and 5 of coalescing."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import Any

import pytest

from gristmill import Failed, Ok, Retry, batch
from gristmill.errors import (
    BatchCancelled,
    HandlerFailed,
    ItemFailed,
    ItemMissing,
    ReplyMismatch,
)
from gristmill.model.outcome import failed_from


async def answers(handler: Any, *items: Any) -> list[Any]:
    return await asyncio.gather(*map(handler, items), return_exceptions=True)


class Speechless(Exception):
    """Its text cannot be had, and asking for it again fails the same way."""

    def __str__(self) -> str:
        raise Speechless


class TestAHandlerThatRaises:
    async def test_gives_each_waiter_an_exception_of_its_own(self) -> None:
        cause = ValueError("boom")

        @batch
        async def broken(items: list[int]) -> list[int]:
            raise cause

        errors = await answers(broken, 1, 2, 3)
        assert all(type(e) is HandlerFailed and e.__cause__ is cause for e in errors)
        assert len(set(map(id, errors))) == 3
        assert await answers(broken, 4) != []  # the slot is free again

    @pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
    async def test_base_exceptions_leave_nobody_waiting(self, kind: type[BaseException]) -> None:
        @batch
        async def ends(items: list[int]) -> list[int]:
            if items == [3]:
                return items
            raise kind

        first, second = await answers(ends, 1, 2)
        assert type(first) is type(second) is BatchCancelled
        assert isinstance(first.__cause__, kind)
        assert await ends(3) == 3

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_an_exit_answers_everybody_and_then_ends_the_program(
        self, kind: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        waiters: list[asyncio.Future[int]] = []

        @batch
        async def leaves(items: list[int]) -> list[int]:
            raise kind

        async def main() -> None:
            waiters.extend(leaves(n) for n in range(2))
            await asyncio.wait(waiters)

        with pytest.raises(kind):
            asyncio.run(main())
        assert [type(w.exception()) for w in waiters] == [BatchCancelled] * 2
        gc.collect()
        assert not caplog.records  # nor is it told a second time, as a task's exception that nobody looked at

    async def test_what_has_no_text_answers_everybody_too(self) -> None:
        @batch
        async def broken(items: list[int]) -> list[int]:
            raise Speechless

        async with asyncio.timeout(10):
            errors = await answers(broken, 1, 2)
        assert [type(e) for e in errors] == [HandlerFailed] * 2
        assert str(errors[0]) == "broken raised Speechless: Speechless"

    async def test_a_batch_task_cancelled_before_it_began_answers_everybody(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        waiter = echo(1)
        loop = asyncio.get_running_loop()
        before = asyncio.all_tasks()
        # The turn that starts the batch runs first, then this: the batch's task has not had a step yet.
        loop.call_soon(lambda: [task.cancel() for task in asyncio.all_tasks() - before])
        with pytest.raises(BatchCancelled):
            await waiter
        assert await echo(2) == 2


class TestAReplyThatCannotBePaired:
    @pytest.mark.parametrize(
        ("reply", "shown"),
        [
            ([1], "1 results for 2 items"),
            ([1, 2, 3], "3 results for 2 items"),
            (None, "returned None"),
            ("ab", "a str"),
            ({1, 2}, "a set"),
            ((n for n in (1, 2)), "a generator"),
            (7, "a int"),
        ],
    )
    async def test_is_refused_with_what_was_expected(self, reply: Any, shown: str) -> None:
        @batch
        async def odd(items: list[str]) -> Any:
            return reply

        errors = await answers(odd, "x", "y")
        assert [type(e) for e in errors] == [ReplyMismatch] * 2
        assert errors[0] is not errors[1]
        assert "odd" in str(errors[0])
        assert shown in str(errors[0])
        assert "2" in str(errors[0])

    @pytest.mark.parametrize("make", [tuple, deque, lambda xs: dict(enumerate(xs)).values()])
    async def test_any_sized_row_of_results_is_taken(self, make: Any) -> None:
        @batch
        async def fine(items: list[int]) -> Any:
            return make(items)

        assert await fine.many([4, 5]) == [4, 5]

    async def test_a_dict_answers_by_item(self) -> None:
        @batch
        async def lookup(ids: list[int]) -> dict[int, str]:
            return {3: "three", 1: "one"}

        one, two, three = await answers(lookup, 1, 2, 3)
        assert (one, three) == ("one", "three")
        assert isinstance(two, ItemMissing)
        assert isinstance(two, KeyError)
        assert str(two) == "lookup has no result for this item"

    async def test_keys_of_a_dict_that_are_no_items_are_logged_by_number(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        @batch
        async def lookup(ids: list[int]) -> dict[Any, str]:
            return dict.fromkeys(ids, "it") | ({"secret": "x", 99: "y"} if 2 in ids else {})

        assert await answers(lookup, 1, 1) == ["it", "it"]
        assert not caplog.records
        assert await answers(lookup, 1, 2) == ["it", "it"]
        (record,) = caplog.records
        assert record.getMessage().startswith("lookup returned a dict with 2 keys that are no items")
        assert "secret" not in caplog.text

    async def test_a_dict_for_unhashable_items_says_so(self) -> None:
        @batch
        async def lookup(items: list[dict[str, int]]) -> Any:
            return {}

        with pytest.raises(ReplyMismatch, match="not hashable"):
            await lookup({"a": 1})

    async def test_a_handler_may_empty_the_list_it_is_given(self) -> None:
        @batch
        async def eats(items: list[int]) -> list[int]:
            found = sorted(items)
            items.clear()
            return found

        assert await eats.many([1, 2, 3]) == [1, 2, 3]


class TestAnExceptionAmongTheResults:
    async def test_fails_its_item_alone(self) -> None:
        bad = LookupError("no such id")

        @batch
        async def some(items: list[int]) -> list[int | Exception]:
            return [bad if n == 1 else n for n in items]

        assert await answers(some, 0, 1, 2) == [0, bad, 2]

    async def test_the_same_instance_twice_is_not_shared(self) -> None:
        bad = LookupError("no such id")

        @batch
        async def none(items: list[int]) -> list[Exception]:
            return [bad for _ in items]

        first, second = await answers(none, 0, 1)
        assert first is bad
        assert isinstance(second, HandlerFailed)
        assert second.__cause__ is bad
        assert [failed_from(error).retryable for error in (first, second)] == [False, False]

    async def test_the_same_instance_twice_is_tried_again_for_both_or_neither(self) -> None:
        calls: list[list[int]] = []

        @batch(retry=Retry(attempts=2, base=0))
        async def none(items: list[int]) -> list[Exception]:
            calls.append(items)
            return [LookupError("no such id")] * len(items)

        await answers(none, 0, 1)
        assert calls == [[0, 1]]

    @pytest.mark.parametrize("wrap", [lambda error: error, Failed])
    async def test_one_without_a_text_may_be_among_them(self, wrap: Any) -> None:
        error = Speechless()

        @batch
        async def fails(items: list[int]) -> Any:
            return [wrap(error)] * len(items)

        async with asyncio.timeout(10):
            first, second = await answers(fails, 1, 2)
        assert first is not second
        assert isinstance(first, Speechless | ItemFailed)
        assert str(second) == "Speechless"

    async def test_failed_carries_its_code(self) -> None:
        @batch
        async def some(items: list[int]) -> list[int | Failed]:
            return [Failed("taken", code="conflict", retryable=True) for _ in items]

        with pytest.raises(ItemFailed, match="taken") as caught:
            await some(1)
        assert (caught.value.code, caught.value.retryable) == ("conflict", True)

    async def test_ok_keeps_an_exception_as_a_value(self) -> None:
        value = ValueError("just data")

        @batch
        async def parse(items: list[int]) -> list[Ok[ValueError]]:
            return [Ok(value) for _ in items]

        assert await parse(1) is value

    async def test_a_cancelled_error_fails_its_item_and_no_other(self) -> None:
        @batch
        async def gathers(items: list[int]) -> list[Any]:
            return [asyncio.CancelledError() if n else n for n in items]

        fine, gone = await answers(gathers, 0, 1)
        assert fine == 0
        assert type(gone) is BatchCancelled

    async def test_a_stop_iteration_does_not_break_the_others(self) -> None:
        @batch
        async def odd(items: list[int]) -> list[Any]:
            return [StopIteration("x") if n == 0 else n for n in items]

        first, second = await answers(odd, 0, 1)
        assert isinstance(first, HandlerFailed)
        assert second == 1

    def test_a_returned_exit_answers_everybody_and_ends_the_program(self) -> None:
        waiters: list[asyncio.Future[Any]] = []

        @batch
        async def leaves(items: list[int]) -> list[Any]:
            return [SystemExit(3) if n else n for n in items]

        async def main() -> None:
            waiters.extend(leaves(n) for n in range(2))
            await asyncio.wait(waiters)

        with pytest.raises(SystemExit):
            asyncio.run(main())
        assert waiters[0].result() == 0
        assert type(waiters[1].exception()) is BatchCancelled
