from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import apsw
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.databases.sqlite import SqliteWriter
from gristmill.errors import ConfigurationError, WriterClosed
from gristmill.model.outcome import Failed

USERS = """
CREATE TABLE IF NOT EXISTS users(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL CHECK (name <> ''),
    email TEXT NOT NULL UNIQUE
)
"""
TAKEN = Failed("email already exists", "unique_violation")


class NewUser(msgspec.Struct):
    name: str | None
    email: str


class User(msgspec.Struct):
    id: int
    name: str
    email: str


def new_users(count, start=0):
    return [NewUser(f"name {i}", f"{i}@example.org") for i in range(start, start + count)]


def stored(path):
    """What another connection reads: email -> (id, name)."""
    reader = apsw.Connection(str(path))
    try:
        return {
            email: (key, name) for key, name, email in reader.execute("SELECT id, name, email FROM users")
        }
    finally:
        reader.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "users.db"


@pytest.fixture
async def writer(path):
    async with SqliteWriter(path, "users", returning=User, create=USERS) as writer:
        yield writer


class Gate:
    """Holds the writer's thread at the row called "gate", until opened."""

    def __init__(self, path):
        self.reached, self.open = threading.Event(), threading.Event()
        self.connection = apsw.Connection(str(path))
        self.connection.pragma("journal_mode", "WAL")
        self.connection.execute(USERS)
        self.connection.create_scalar_function("gate", self.wait, 0)
        self.connection.execute(
            "CREATE TEMP TRIGGER gated AFTER INSERT ON users WHEN new.name = 'gate' BEGIN SELECT gate(); END"
        )
        self.writer = SqliteWriter(self.connection, "users")

    def wait(self):
        self.reached.set()
        assert self.open.wait(30)

    async def until_reached(self):
        await asyncio.to_thread(self.reached.wait, 30)


@pytest.fixture
async def gate(path):
    gate = Gate(path)
    yield gate
    gate.open.set()
    await gate.writer.aclose()
    gate.connection.close()


async def test_every_row_gets_its_own_stored_self_in_the_order_of_the_rows(writer, path):
    users = new_users(10_000)
    results = await writer.insert(users)
    assert [(user.name, user.email) for user in results] == [(user.name, user.email) for user in users]
    assert stored(path) == {user.email: (user.id, user.name) for user in results}


async def test_a_bad_row_of_500_leaves_499_stored(writer, path):
    users = new_users(500)
    users[250].name = None
    results = await writer.insert(users)
    assert results[250] == Failed("name must not be null", "not_null_violation")
    good = results[:250] + results[251:]
    assert [user.email for user in good] == [user.email for user in users if user.name]
    assert stored(path) == {user.email: (user.id, user.name) for user in good}


async def test_of_equal_rows_in_one_batch_the_first_is_stored(writer, path):
    results = await writer.insert(
        [NewUser("Ann", "a@x.org"), NewUser("Bob", "b@x.org"), NewUser("Eve", "a@x.org")]
    )
    assert results == [User(1, "Ann", "a@x.org"), User(2, "Bob", "b@x.org"), TAKEN]
    assert stored(path) == {"a@x.org": (1, "Ann"), "b@x.org": (2, "Bob")}


async def test_a_row_that_was_stored_before_fails_alone(writer, path):
    await writer.insert([NewUser("Ann", "a@x.org")])
    results = await writer.insert([NewUser("Eve", "a@x.org"), NewUser("Bob", "b@x.org")])
    assert results == [TAKEN, User(2, "Bob", "b@x.org")]
    assert stored(path) == {"a@x.org": (1, "Ann"), "b@x.org": (2, "Bob")}


async def test_a_batch_of_only_bad_rows_stores_nothing(writer, path):
    results = await writer.insert([NewUser("", "a@x.org"), NewUser(None, "b@x.org")])
    assert [failed.code for failed in results] == ["check_violation", "not_null_violation"]
    assert stored(path) == {}


async def test_no_rows_are_no_results(writer):
    assert await writer.insert([]) == []


names = st.sampled_from(["Ann", "Bob", "", None])
emails = st.sampled_from(["a", "b", "c", "d", "e"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.builds(NewUser, names, emails), max_size=12), max_size=4))
def test_any_batches_end_as_a_dict_of_emails_would(batches):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "users.db"
        writer = SqliteWriter(path, "users", returning=User, create=USERS)
        known = {}
        for batch in batches:
            for row, result in zip(batch, writer.insert_sync(batch), strict=True):
                if not row.name:
                    assert result.code in {"check_violation", "not_null_violation"}
                elif row.email in known:
                    assert result == TAKEN
                else:
                    known[row.email] = (result.id, row.name)
                    assert (result.name, result.email) == (row.name, row.email)
        writer.close()
        if batches:
            assert stored(path) == known


async def test_a_reader_sees_all_of_a_batch_or_nothing(gate, path):
    users = new_users(500)
    users[250].name = "gate"
    batch = asyncio.ensure_future(gate.writer.insert(users))
    await gate.until_reached()
    assert stored(path) == {}
    gate.open.set()
    await batch
    assert len(stored(path)) == 500


async def test_batches_are_stored_in_the_order_of_their_calls(gate, path):
    batches = [gate.writer.insert([NewUser("gate", "gate")])]
    batches += [gate.writer.insert([NewUser("x", f"{i}")]) for i in range(20)]
    running = [asyncio.ensure_future(batch) for batch in batches]
    await gate.until_reached()
    gate.open.set()
    assert [result["id"] for (result,) in await asyncio.gather(*running)] == list(range(1, 22))
    assert list(stored(path))[1:] == [str(i) for i in range(20)]


async def test_a_cancelled_caller_leaves_a_running_transaction_to_its_end(gate, path):
    running = asyncio.ensure_future(gate.writer.insert([NewUser("gate", "running")]))
    waiting = asyncio.ensure_future(gate.writer.insert([NewUser("x", "waiting")]))
    await gate.until_reached()
    running.cancel()
    waiting.cancel()
    await asyncio.wait([running, waiting])
    assert running.cancelled()
    assert waiting.cancelled()
    gate.open.set()
    await gate.writer.aclose()
    assert list(stored(path)) == ["running"]


async def test_closing_lets_the_batches_under_way_end(gate, path):
    running = asyncio.ensure_future(gate.writer.insert([NewUser("gate", "running")]))
    waiting = asyncio.ensure_future(gate.writer.insert([NewUser("x", "waiting")]))
    await gate.until_reached()
    closing = asyncio.ensure_future(gate.writer.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.open.set()
    await closing
    assert (await running, await waiting) == ([{"id": 1}], [{"id": 2}])
    assert list(stored(path)) == ["running", "waiting"]


async def test_a_cancelled_close_still_closes(gate):
    running = asyncio.ensure_future(gate.writer.insert([NewUser("gate", "running")]))
    await gate.until_reached()
    closing = asyncio.ensure_future(gate.writer.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    gate.open.set()
    await running
    await gate.writer.aclose()
    assert closing.cancelled()


async def test_closing_twice_is_closing_once_and_a_later_batch_is_refused(writer, path):
    await writer.insert(new_users(1))
    await writer.aclose()
    await writer.aclose()
    writer.close()
    with pytest.raises(WriterClosed, match=r"SqliteWriter\(.*'users'\) is closed"):
        await writer.insert(new_users(1))
    assert len(stored(path)) == 1


async def test_a_writer_that_never_wrote_closes_without_making_a_file(path):
    await SqliteWriter(path, "users", create=USERS).aclose()
    assert not path.exists()


def test_one_writer_serves_several_event_loops(path):
    writer = SqliteWriter(path, "users", create=USERS)
    for i in range(3):
        assert asyncio.run(writer.insert(new_users(1, start=i))) == [{"id": i + 1}]
    writer.close()


def test_threads_share_a_writer(path):
    writer = SqliteWriter(path, "users", returning=User, create=USERS)
    results = {}

    def work(start):
        results[start] = writer.insert_sync(new_users(50, start=start))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert stored(path) == {user.email: (user.id, user.name) for batch in results.values() for user in batch}
    assert len(stored(path)) == 400


FORKING = """
import os, sys, warnings
from gristmill.databases.sqlite import SqliteWriter
from gristmill.errors import ConfigurationError

warnings.simplefilter("ignore")  # the fork of a process with threads is what this is about
create = "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY)"
used, fresh = (SqliteWriter(sys.argv[1], "t", create=create) for _ in range(2))
used.insert_sync([{}])
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    used.insert_sync([{}])
except ConfigurationError as error:
    is_told = "before this process was forked" in str(error)
    os._exit(0 if is_told and fresh.insert_sync([{}]) == [{"id": 2}] else 2)
os._exit(3)
"""


def test_a_forked_process_is_told_to_make_its_own_writer_but_may_use_one_that_never_wrote(path):
    assert subprocess.run([sys.executable, "-c", FORKING, str(path)], timeout=30, check=False).returncode == 0


@dataclass
class DataUser:
    id: int
    email: str


class DictUser(TypedDict):
    id: int
    email: str


class ModelUser(pydantic.BaseModel):
    id: int
    email: str = pydantic.Field(alias="mail")


class RenamedUser(msgspec.Struct, rename="upper"):
    id: int
    email: str


@pytest.mark.parametrize(
    ("returning", "expected"),
    [
        (("id", "email"), {"id": 1, "email": "a"}),
        (["email"], {"email": "a"}),
        (DataUser, DataUser(1, "a")),
        (DictUser, {"id": 1, "email": "a"}),
        (ModelUser, ModelUser(id=1, mail="a")),
        (RenamedUser, RenamedUser(1, "a")),
    ],
)
async def test_a_stored_row_comes_back_as_asked(path, returning, expected):
    async with SqliteWriter(path, "users", returning=returning, create=USERS) as writer:
        assert await writer.insert([{"name": "Ann", "email": "a"}]) == [expected]


@dataclass
class DataRow:
    name: str
    email: str


class ModelRow(pydantic.BaseModel):
    name: str
    email: str


async def test_rows_of_every_kind_may_share_a_batch(path):
    rows = [
        NewUser("Ann", "a"),
        DataRow("Bob", "b"),
        ModelRow(name="Eve", email="c"),
        {"name": "Joe", "email": "d"},
        {"email": "e", "name": "Kim"},
    ]
    async with SqliteWriter(path, "users", create=USERS) as writer:
        assert await writer.insert(rows) == [{"id": i} for i in range(1, 6)]
    assert stored(path) == {
        "a": (1, "Ann"),
        "b": (2, "Bob"),
        "c": (3, "Eve"),
        "d": (4, "Joe"),
        "e": (5, "Kim"),
    }


class Event(msgspec.Struct):
    at: datetime
    urgent: bool
    payload: bytes


async def test_values_come_back_with_the_types_of_the_fields(path):
    event = Event(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), urgent=True, payload=b"\x00\xff")
    create = "CREATE TABLE events(at TEXT, urgent INTEGER, payload BLOB)"
    async with SqliteWriter(path, "events", returning=Event, create=create) as writer:
        assert await writer.insert([event]) == [event]


class Positive(msgspec.Struct):
    id: int
    name: int


async def test_a_result_that_does_not_fit_its_type_stores_nothing_and_tells_no_value(path):
    async with SqliteWriter(path, "users", returning=Positive, create=USERS) as writer:
        with pytest.raises(ConfigurationError, match="does not fit the type of `returning`") as caught:
            await writer.insert([NewUser("secret", "a")])
    assert "secret" not in str(caught.value)
    assert stored(path) == {}
