from __future__ import annotations

import asyncio
import threading

import apsw
import pytest

from gristmill.errors import JobNotFound, StoreUnavailable
from gristmill.queue.sqlite import database, writer
from gristmill.queue.sqlite.fair_lock import FairLock
from gristmill.queue.sqlite.message import JointWork
from gristmill.queue.sqlite.waiters import Waiters
from gristmill.queue.sqlite.writer import MOST_BYTES, MOST_MESSAGES, Writer


class Gate:
    """Holds the writer's thread at a message until it is opened."""

    def __init__(self):
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, session):
        self.reached.set()
        assert self.open.wait(30)
        return session


@pytest.fixture
async def turn():
    return FairLock()


@pytest.fixture
async def pen(path, turn):
    """A writer with a table to write in."""
    pen = Writer(path, turn, Waiters())
    await pen.submit(lambda session: session.connection.execute("CREATE TABLE note (text UNIQUE)") and None)
    yield pen
    await pen.close()


def note(text):
    return lambda session: session.connection.execute("INSERT INTO note VALUES (?)", (text,)) and session


def notes(path):
    connection = apsw.Connection(str(path))
    try:
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]
    finally:
        connection.close()


async def gathered(pen, works):
    """Have *works* done behind a message that holds them back until all have come."""
    gate = Gate()
    first = pen.submit(gate)
    await asyncio.to_thread(gate.reached.wait)
    waiting = [pen.submit(work) for work in works]
    gate.open.set()
    return [await first, *await asyncio.gather(*waiting, return_exceptions=True)]


async def test_what_comes_meanwhile_shares_one_transaction(pen, path):
    sessions = await gathered(pen, [note(number) for number in range(50)])
    assert len(set(map(id, sessions))) == 1
    assert notes(path) == list(range(50))


async def test_a_transaction_takes_so_many_messages_and_no_more(pen):
    sessions = await gathered(pen, [note(number) for number in range(MOST_MESSAGES)])
    assert len(set(map(id, sessions))) == 2
    assert sessions[MOST_MESSAGES - 1] is sessions[0]


async def test_a_transaction_takes_so_many_bytes_and_no_more(pen):
    gate = Gate()
    first = pen.submit(gate)
    await asyncio.to_thread(gate.reached.wait)
    waiting = [pen.submit(note(number), MOST_BYTES // 2) for number in range(3)]
    gate.open.set()
    sessions = [await first, *await asyncio.gather(*waiting)]
    assert sessions[0] is sessions[1] is sessions[2]
    assert sessions[3] is not sessions[0]


async def test_a_message_that_fails_after_writing_takes_nothing_of_others_with_it(pen, path):
    def fail(session):
        note("half")(session)
        raise ZeroDivisionError

    found = await gathered(pen, [note("before"), fail, note("before"), note("after")])
    assert notes(path) == ["before", "after"]
    assert isinstance(found[2], ZeroDivisionError)
    assert isinstance(found[3].__cause__, apsw.ConstraintError)


async def test_a_refusal_leaves_its_neighbours_in_one_transaction(pen, path):
    def refuse(_session):
        raise JobNotFound("none")

    found = await gathered(pen, [note(1), refuse, note(2)])
    assert isinstance(found[2], JobNotFound)
    assert found[0] is found[1] is found[3]
    assert notes(path) == [1, 2]


class Joint(JointWork):
    """Notes texts, all of them by one statement; *fails* says when that raises."""

    def __init__(self, text, fails=""):
        self.text, self.fails = text, fails

    def __call__(self, session):
        if self.fails:
            raise JobNotFound(self.text)
        session.connection.execute("INSERT INTO note VALUES (?)", (self.text,))
        return "alone"

    @classmethod
    def together(cls, session, works):
        if any(work.fails == "before" for work in works):
            raise JobNotFound("together")
        rows = ", ".join("(?)" for _ in works)
        session.connection.execute(f"INSERT INTO note VALUES {rows}", [work.text for work in works])  # noqa: S608
        if any(work.fails == "after" for work in works):
            raise JobNotFound("together")
        return ["together"] * len(works)


async def test_work_of_one_kind_that_comes_meanwhile_is_done_together(pen, path):
    _, *answers = await gathered(pen, [note("0"), Joint("1"), Joint("2"), note("3"), Joint("4")])
    assert [answers[1], answers[2], answers[4]] == ["together", "together", "alone"]
    assert notes(path) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_work_that_cannot_be_done_together_is_done_alone(pen, path, when):
    _, first, failed, last = await gathered(pen, [Joint("1"), Joint("2", fails=when), Joint("3")])
    assert (first, last) == ("alone", "alone")
    assert isinstance(failed, JobNotFound)
    assert str(failed) == "2"
    assert notes(path) == ["1", "3"]


async def test_of_work_done_together_that_of_a_cancelled_caller_is_left_out(pen, path):
    gate = Gate()
    pen.submit(gate)
    await asyncio.to_thread(gate.reached.wait)
    waiting = [pen.submit(Joint(text)) for text in "abc"]
    waiting[1].cancel()
    gate.open.set()
    assert [await waiting[0], await waiting[2]] == ["together", "together"]
    assert notes(path) == ["a", "c"]


async def test_a_commit_that_fails_is_tried_for_each_alone(pen, path):
    refusals = iter([True])  # the first commit only

    def refuse(session):
        session.connection.set_commit_hook(lambda: next(refusals, False))

    sessions = await gathered(pen, [refuse, note(1), note(2)])
    assert len({id(session) for session in sessions if session}) == 3
    assert notes(path) == [1, 2]


async def test_a_cancelled_callers_message_is_not_begun_or_is_done_whole(pen, path):
    gate = Gate()
    first = pen.submit(gate)
    await asyncio.to_thread(gate.reached.wait)
    waiting = [pen.submit(note(number)) for number in range(3)]
    waiting[1].cancel()
    first.cancel()
    gate.open.set()
    await asyncio.gather(waiting[0], waiting[2])
    assert notes(path) == [0, 2]


async def test_closing_lets_what_was_accepted_end(pen, path):
    gate = Gate()
    first = pen.submit(gate)
    await asyncio.to_thread(gate.reached.wait)
    waiting = [pen.submit(note(number)) for number in range(5)]
    closing = [asyncio.create_task(pen.close()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="is closed"):
        pen.submit(note("late"))
    gate.open.set()
    await asyncio.gather(first, *waiting, *closing)
    assert notes(path) == list(range(5))
    await pen.close()


async def test_one_that_was_never_used_closes(path, turn):
    unused = Writer(path, turn, Waiters())
    await unused.close()
    await unused.close()
    with pytest.raises(StoreUnavailable):
        unused.submit(note(1))


async def test_a_foreign_lock_is_waited_for(pen, path):
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    waiting = pen.submit(note("patient"))
    await asyncio.to_thread(foreign.execute, "INSERT INTO note VALUES ('foreign'); COMMIT")
    await waiting
    foreign.close()
    assert notes(path) == ["foreign", "patient"]


async def test_a_foreign_lock_that_stays_fails_all_that_wait_at_once(path, turn, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    pen = Writer(path, turn, Waiters())
    await pen.submit(lambda session: session.connection.execute("CREATE TABLE note (text)") and None)
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    waiting = [pen.submit(note(number)) for number in range(20)]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in found} == {StoreUnavailable}
    assert len(set(map(id, found))) == 20
    foreign.execute("ROLLBACK")
    foreign.close()
    await pen.submit(note("again"))
    await pen.close()
    assert notes(path) == ["again"]


async def test_a_transaction_of_this_process_that_stays_is_told(pen, turn, path, monkeypatch):
    monkeypatch.setattr(writer, "BUSY_TIMEOUT", 0.01)
    async with turn.held_by_task():
        with pytest.raises(StoreUnavailable, match="a transaction of this process"):
            await pen.submit(note(1))
    await pen.submit(note(2))
    assert notes(path) == [2]


async def test_the_log_does_not_grow_without_end(pen, path):
    for number in range(30):
        await pen.submit(note("x" * (1 << 20) + str(number)))
    assert path.with_name(path.name + "-wal").stat().st_size < 20 << 20


async def test_the_log_is_copied_once_a_long_reader_has_gone(pen, path):
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN; SELECT * FROM note")
    for number in range(70):
        await pen.submit(note("x" * (1 << 20) + str(number)))
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 64 << 20
    reader.execute("COMMIT")
    reader.close()
    for number in range(70, 75):
        await pen.submit(note("x" * (1 << 20) + str(number)))
    assert log.stat().st_size < 64 << 20


async def test_callers_of_several_loops_are_all_answered(pen, path):
    async def write(base):
        await asyncio.gather(*(pen.submit(note(base + number)) for number in range(100)))

    others = [asyncio.to_thread(asyncio.run, write(base)) for base in (1000, 2000)]
    await asyncio.gather(write(0), *others)
    assert len(notes(path)) == 300


async def test_a_loop_that_is_closed_holds_up_nobody(pen, path):
    gate = Gate()

    async def leave():
        pen.submit(gate)
        pen.submit(note("left"))

    await asyncio.to_thread(asyncio.run, leave())
    gate.open.set()
    await pen.submit(note("stayed"))
    assert notes(path)[-1] == "stayed"
