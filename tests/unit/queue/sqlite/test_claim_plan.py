"""What a claim costs does not depend on how much waits."""

from __future__ import annotations

import re

import apsw
import pytest

from gristmill.model.chunk import NewChunk
from gristmill.model.job import AGING, NewJob
from gristmill.queue.sqlite import claiming
from gristmill.queue.sqlite.claiming import Wanted
from gristmill.queue.sqlite.incoming import enqueue
from gristmill.queue.sqlite.schema import migrate
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement


@pytest.fixture
def connection(path):
    connection = apsw.Connection(str(path))
    connection.pragma("synchronous", "OFF")
    migrate(connection, path)
    yield connection
    connection.close()


def fill(connection, chunks, first):
    """Store jobs of every priority, due and not due, with and without keys."""
    with connection:
        for priority in range(10):
            for delay, key in ((0, None), (3600, None), (0, "k")):
                job = NewJob(
                    id=f"job_{first}_{priority}_{delay}_{key}",
                    queue="numbers",
                    priority=priority,
                    delay=delay,
                )
                enqueue(
                    Session(connection),
                    [
                        (
                            job,
                            [
                                NewChunk(job=job.id, places=((at, 1),), items=1, body=b"[1]", key=key)
                                for at in range(chunks // 30)
                            ],
                        )
                    ],
                )


def steps_of(connection, work):
    """Count what SQLite executes, in tens of its instructions."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return False

    connection.set_progress_handler(count, 10)
    try:
        with connection:
            work(Session(connection))
    finally:
        connection.set_progress_handler(None)
    return steps


def claim(session):
    found = claiming.claim(session, Wanted("numbers", "w", 10, 1 << 20, 60))
    assert found.items == 10


def test_a_claim_costs_the_same_at_a_small_and_a_large_backlog(connection):
    fill(connection, 900, 1)
    small = steps_of(connection, claim)
    fill(connection, 60_000, 2)
    large = steps_of(connection, claim)
    assert large < 1.5 * small


def test_a_look_at_a_queue_where_nothing_is_due_costs_the_same(connection):
    def look(session):
        assert claiming.due_in(session.connection, ["numbers"]) > 3000

    job = NewJob(id="job_1", queue="numbers", delay=3600)
    chunk = NewChunk(job=job.id, places=((0, 1),), items=1, body=b"[1]")
    enqueue(Session(connection), [(job, [chunk])])
    small = steps_of(connection, look)
    with connection:
        for number in range(20_000):
            job = NewJob(id=f"job_{number + 2}", queue="numbers", priority=number % 10, delay=3600)
            enqueue(
                Session(connection), [(job, [NewChunk(job=job.id, places=((0, 1),), items=1, body=b"[1]")])]
            )
    assert steps_of(connection, look) < 3 * small


@pytest.mark.parametrize("analyzed", [False, True])
def test_due_chunks_are_found_by_index_and_merged_without_sorting(connection, analyzed):
    fill(connection, 900, 1)
    if analyzed:
        connection.execute("ANALYZE")
    plan = connection.execute("EXPLAIN QUERY PLAN " + statement("claim_due"), ("numbers", 0.0, AGING))
    steps = [row[3] for row in plan]
    searches = [step for step in steps if step.startswith(("SEARCH", "SCAN"))]
    index = "COVERING INDEX gristmill_chunk_ready (queue=? AND priority=? AND rank<?)"
    assert searches == [f"SEARCH gristmill_chunk USING {index}"] * 10
    assert not any("TEMP B-TREE" in step for step in steps)


WRITES = """
    chunk_remove chunk_shrink chunk_unblock job_cancel job_count job_find job_insert job_remove job_waiting
    lease_cancelled lease_chunks lease_expired lease_find lease_hold lease_move lease_release lease_remove
    lease_renew prune_jobs prune_rest redrive settle_jobs settle_lease settle_remove unique_free unique_holder
    upload_commit upload_find upload_grow
"""


@pytest.mark.parametrize("name", WRITES.split())
def test_no_statement_of_the_writer_walks_over_a_table(connection, name):
    for sql in statement(name).split(";"):
        numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
        count = max(numbered) if numbered else sql.count("?")
        names = re.findall(r":(\w+)", sql)
        bindings = dict.fromkeys(names) if names else (None,) * count
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql, bindings)]
        assert not [step for step in plan if re.match(r"SCAN (?!json_each|\(subquery|CONSTANT)", step)]
