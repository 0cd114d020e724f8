"""What is enqueued while a transaction is under way shares the next one."""

from __future__ import annotations

import asyncio

import pytest

from gristmill.errors import StoreError, StoreUnavailable
from gristmill.model.chunk import NewChunk
from gristmill.model.job import Enqueued, NewJob
from gristmill.queue.postgres.group_commit import ALONE, MOST, GroupCommit
from gristmill.queue.postgres.storing import Submission


class Database:
    """Takes what it is told to, and counts transactions."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.open = asyncio.Event()
        self.refused: set[str] = set()
        self.error: type[StoreError] = StoreError

    async def store(self, submission: Submission) -> list[Enqueued]:
        ids = [job.id for job, _ in submission.jobs]
        self.groups.append(ids)
        await self.open.wait()
        if self.refused & set(ids):
            raise self.error("no")
        return [Enqueued(job=each, created=True) for each in ids]


def submission(*ids: str, size: int = 1) -> Submission:
    return Submission(
        jobs=[
            (
                NewJob(id=each, queue="q"),
                [NewChunk(job=each, places=((0, 1),), items=1, body=b"1" * size)],
            )
            for each in ids
        ]
    )


async def started(group: GroupCommit, *submissions: Submission) -> list[asyncio.Task[list[Enqueued]]]:
    tasks = [asyncio.create_task(group.submit(each)) for each in submissions]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_one_is_under_way_goes_together() -> None:
    database = Database()
    group = GroupCommit(database.store)
    tasks = await started(group, submission("a"))
    assert database.groups == [["a"]]
    more = await started(group, submission("b", "c"), submission("d"), submission("e"))
    database.open.set()
    answers = await asyncio.gather(*tasks, *more)
    assert [[each.job for each in answer] for answer in answers] == [["a"], ["b", "c"], ["d"], ["e"]]
    assert database.groups == [["a"], ["b", "c", "d", "e"]]


async def test_one_that_is_refused_does_not_fail_its_neighbours() -> None:
    database = Database()
    database.open.set()
    database.refused = {"b"}
    tasks = await started(GroupCommit(database.store), *map(submission, "abc"))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert database.groups == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert [type(answer) for answer in answers] == [list, StoreError, list]


async def test_when_the_store_is_gone_everyone_is_told_with_an_error_of_their_own() -> None:
    database = Database()
    database.open.set()
    database.error, database.refused = StoreUnavailable, {"a"}
    tasks = await started(GroupCommit(database.store), submission("a"), submission("b"))
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, StoreUnavailable)
    assert first is not second
    assert len(database.groups) == 1


async def test_a_caller_that_is_cancelled_does_not_disturb_the_others() -> None:
    database = Database()
    group = GroupCommit(database.store)
    first, second = await started(group, submission("a"), submission("b"))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    database.open.set()
    assert [each.job for each in await second] == ["b"]
    assert "a" in database.groups[0]


async def test_what_is_large_goes_by_itself() -> None:
    database = Database()
    group = GroupCommit(database.store)
    large = submission("large", size=ALONE + 1)
    many = submission(*(f"job{number}" for number in range(MOST + 1)))
    tasks = await started(group, submission("a"), large, many)
    assert sorted(len(ids) for ids in database.groups) == [1, 1, MOST + 1]
    database.open.set()
    await asyncio.gather(*tasks)


async def test_a_group_has_an_end() -> None:
    database = Database()
    group = GroupCommit(database.store)
    tasks = await started(group, *(submission(f"job{number}") for number in range(2 * MOST + 1)))
    database.open.set()
    await asyncio.gather(*tasks)
    assert [len(ids) for ids in database.groups] == [MOST, MOST, 1]


async def test_closing_waits_for_what_was_submitted() -> None:
    database = Database()
    group = GroupCommit(database.store)
    await group.close()
    (task,) = await started(group, submission("a"))
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    assert not closing.done()
    database.open.set()
    await closing
    assert task.done()
