"""Which jobs are stored together, and by how many commands."""

from __future__ import annotations

from typing import Any

from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob, Unique
from gristmill.queue.postgres.storing import SLICE_BYTES, SLICE_CHUNKS, Submission, rounds, slices


def job(number: int, *, unique: str | None = None, queue: str = "q") -> NewJob:
    return NewJob(id=f"job_{number}", queue=queue, unique=None if unique is None else Unique(key=unique))


def chunk(of: NewJob, *, size: int = 10, key: str | None = None) -> NewChunk:
    return NewChunk(job=of.id, places=((0, 1),), items=1, body=b"x" * size, key=key)


def test_jobs_with_nothing_in_common_are_one_round() -> None:
    jobs: list[Any] = [(job(1), ()), (job(2, unique="a"), ()), (job(3, unique="a", queue="other"), ())]
    assert list(rounds(jobs)) == [jobs]


def test_what_comes_twice_begins_another_round() -> None:
    jobs: list[Any] = [(job(1), ()), (job(1), ()), (job(2, unique="a"), ()), (job(3, unique="a"), ())]
    assert list(rounds(jobs)) == [jobs[:1], jobs[1:3], jobs[3:]]


def test_small_jobs_are_one_command() -> None:
    jobs = [(job(number), [chunk(job(number))]) for number in range(SLICE_CHUNKS)]
    (values,) = slices(jobs)
    assert len(values) == 26
    assert {len(column) for column in values if isinstance(column, list)} == {SLICE_CHUNKS}


def test_large_jobs_are_several_commands_and_the_jobs_are_in_the_first() -> None:
    new = job(1)
    calls = list(slices([(new, [chunk(new, size=SLICE_BYTES // 2 + 1)] * 3)]))
    assert [len(call[0]) for call in calls] == [1, 0, 0]
    assert [len(call[10]) for call in calls] == [1, 1, 1]


def test_a_job_without_chunks_is_stored_all_the_same() -> None:
    ((ids, *_, follows),) = slices([(job(1), [])])
    assert (ids, follows) == (["job_1"], [])
    assert list(slices([])) == []


def test_a_chunk_follows_another_of_its_key_and_queue() -> None:
    jobs = [(each, [chunk(each, key="k")]) for each in (job(1), job(2), job(3, queue="other"))]
    (values,) = slices(jobs)
    assert values[-1] == [False, True, False]


def test_a_submission_knows_whether_anything_must_be_looked_up() -> None:
    plain, keyed, unique = job(1), job(2), job(3, unique="a")
    assert Submission(jobs=[(plain, [chunk(plain)])]).is_plain
    assert not Submission(jobs=[(keyed, [chunk(keyed, key="k")])]).is_plain
    assert not Submission(jobs=[(unique, [])]).is_plain
