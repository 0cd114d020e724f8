"""Many callers, one call."""

from __future__ import annotations

import asyncio

import pytest

from gristmill.errors import StoreUnavailable
from gristmill.model.chunk import NewChunk, cut
from gristmill.model.job import Enqueued, NewJob
from gristmill.queue.redis.grouping import MOST_BYTES, MOST_JOBS, Grouping, Jobs


def job(name: str, *, size: int = 1) -> tuple[NewJob, list[NewChunk]]:
    chunks = cut([b"1" * size], job=name, max_items=1, max_bytes=1)
    return NewJob(id=name, queue="q"), list(chunks)


class Sender:
    """Takes groups, and answers each when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.go = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def send(self, jobs: Jobs) -> list[Enqueued]:
        self.groups.append([new.id for new, _ in jobs])
        await self.go.acquire()
        if self.error is not None:
            raise self.error
        return [Enqueued(job=new.id, created=True) for new, _ in jobs]


async def settled() -> None:
    """Let everybody run who can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_callers_of_one_moment_go_together_and_the_others_with_the_next() -> None:
    sender = Sender()
    grouping = Grouping(sender.send)
    first = [asyncio.create_task(grouping.enqueue([job(name)])) for name in "abc"]
    await settled()
    later = [asyncio.create_task(grouping.enqueue([job(name), job(name * 2)])) for name in "de"]
    await settled()
    assert sender.groups == [["a", "b", "c"]]
    sender.go.release()
    sender.go.release()
    answers = await asyncio.gather(*first, *later)
    assert sender.groups[1:] == [["d", "dd", "e", "ee"]]
    assert [[each.job for each in answer] for answer in answers] == [
        ["a"],
        ["b"],
        ["c"],
        ["d", "dd"],
        ["e", "ee"],
    ]
    await grouping.close()


async def test_a_group_is_bounded_by_jobs_and_bytes() -> None:
    sender = Sender()
    grouping = Grouping(sender.send)
    sender.go = asyncio.Semaphore(100)
    await asyncio.gather(*(grouping.enqueue([job(str(number))]) for number in range(MOST_JOBS + 1)))
    assert [len(group) for group in sender.groups] == [MOST_JOBS, 1]
    await asyncio.gather(*(grouping.enqueue([job(name, size=MOST_BYTES // 2)]) for name in "abc"))
    assert sender.groups[2:] == [["a"], ["b"], ["c"]]  # an array has its brackets too


async def test_one_call_beyond_the_bounds_goes_alone() -> None:
    sender = Sender()
    sender.go.release()
    answers = await Grouping(sender.send).enqueue([job(str(number)) for number in range(MOST_JOBS + 1)])
    assert len(answers) == MOST_JOBS + 1


async def test_each_caller_gets_an_error_of_its_own() -> None:
    sender = Sender()
    sender.error = StoreUnavailable("gone")
    sender.error.__cause__ = OSError("reset")
    grouping = Grouping(sender.send)
    sender.go.release()
    found = await asyncio.gather(*(grouping.enqueue([job(name)]) for name in "ab"), return_exceptions=True)
    assert [(type(error), str(error)) for error in found] == [(StoreUnavailable, "gone")] * 2
    assert found[0] is not found[1]
    assert all(str(error.__cause__) == "reset" for error in found if isinstance(error, StoreUnavailable))


async def test_after_an_error_the_next_is_sent() -> None:
    sender = Sender()
    sender.error = StoreUnavailable("gone")
    grouping = Grouping(sender.send)
    sender.go = asyncio.Semaphore(5)
    with pytest.raises(StoreUnavailable):
        await grouping.enqueue([job("a")])
    sender.error = None
    assert (await grouping.enqueue([job("b")]))[0].created


async def test_a_caller_that_is_cancelled_in_time_is_not_sent() -> None:
    sender = Sender()
    grouping = Grouping(sender.send)
    first = asyncio.create_task(grouping.enqueue([job("a")]))
    await settled()
    second, third = [asyncio.create_task(grouping.enqueue([job(name)])) for name in "bc"]
    await settled()
    second.cancel()
    await settled()
    sender.go.release()
    sender.go.release()
    await asyncio.gather(first, third)
    assert sender.groups == [["a"], ["c"]]
    assert second.cancelled()


async def test_a_caller_that_is_cancelled_late_harms_no_other() -> None:
    sender = Sender()
    grouping = Grouping(sender.send)
    first, second = [asyncio.create_task(grouping.enqueue([job(name)])) for name in "ab"]
    await settled()
    first.cancel()
    sender.go.release()
    assert (await second)[0].job == "b"
    assert first.cancelled()


async def test_several_calls_may_be_under_way() -> None:
    sender = Sender()
    grouping = Grouping(sender.send, calls=2)
    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(grouping.enqueue([job(name)])))
        await settled()
    assert sender.groups == [["a"], ["b"]]
    for _ in tasks:
        sender.go.release()
    await asyncio.gather(*tasks)
    assert sender.groups == [["a"], ["b"], ["c"]]
