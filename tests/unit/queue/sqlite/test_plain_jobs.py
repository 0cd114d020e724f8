from __future__ import annotations

import asyncio

import pytest

from gristmill.model.job import Enqueued, Unique, ids_to_json
from gristmill.queue.sqlite.database import open_for_writing
from gristmill.queue.sqlite.incoming import Enqueue
from gristmill.queue.sqlite.session import Session

TABLES = ("job", "ids", "chunk", "body", "unique")


@pytest.fixture
def stored(tmp_path):
    """Return what stores jobs in a new file, and returns all its rows."""

    def stored(name, work):
        connection = open_for_writing(tmp_path / name)
        try:
            with connection:
                session = Session(connection)
                session.now = 1_700_000_000.0
                answers = work(session)
            rows = {
                table: list(connection.execute(f"SELECT * FROM gristmill_{table} ORDER BY 1, 2"))  # noqa: S608
                for table in TABLES
            }
            sequences = list(connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name"))
            return answers, rows, session.woken, sequences
        finally:
            connection.close()

    return stored


def test_jobs_stored_together_are_as_if_each_was_stored_alone(new, stored):
    jobs = [
        [new(0), new(3)],
        *([new(1)] for _ in range(150)),
        [new(7, chunk=2, priority=1, delay=5.0)],
        [new(2, key="a")],
        [new(1, queue="letters", run_at=1_800_000_000.0, keep_results=False)],
        [new(1, unique=Unique(key="u"))],
        [new(1, unique=Unique(key="u"))],
        [new(2, ids=ids_to_json(["x", None]))],
        *([new(1)] for _ in range(9)),
    ]
    works = [Enqueue(each) for each in jobs]
    together = stored("together", lambda session: Enqueue.together(session, works))
    assert together == stored("alone", lambda session: [work(session) for work in works])
    assert len(together[1]["job"]) == 150 + 16
    assert [answer.created for answer in together[0][-11]] == [False]


async def test_a_repeated_id_takes_nothing_of_others_with_it(new, store, claim):
    repeated = new(1)
    await store.enqueue([repeated])
    others = [new(1) for _ in range(20)]
    calls = (store.enqueue([each]) for each in [*others[:10], repeated, *others[10:]])
    answers = await asyncio.gather(*calls)
    created = [Enqueued(job=job.id, created=True) for job, _ in others]
    assert answers[10] == [Enqueued(job=repeated[0].id, created=False)]
    assert [answer for (answer,) in answers[:10] + answers[11:]] == created
    assert (await claim()).items == 21


async def test_numbers_and_ids_are_those_that_come_next(new, store, claim):
    await store.enqueue([new(3, chunk=1)])
    first = await claim()
    await store.release(first.lease)
    await asyncio.gather(*(store.enqueue([new(1)]) for _ in range(20)))
    await store.enqueue([new(1, key="a")])
    ids = [chunk.id for chunk in (await claim()).chunks]
    assert sorted(ids) == list(range(1, 25))
