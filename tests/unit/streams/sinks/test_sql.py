"""The sink over a database that goes away at any of its steps, held in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.databases.names import TableName
from gristmill.errors import ConfigurationError, SinkError, SinkTaken
from gristmill.streams.checkpoint import Checkpoint, Identity, SourceMark
from gristmill.streams.chunk import Refusal, Result
from gristmill.streams.sinks.protocol import EncoderRecipe, RowsRefused
from gristmill.streams.sinks.sql import SqlSink
from gristmill.streams.sql.database import Away
from gristmill.streams.sql.ledger import Entry
from gristmill.streams.sql.parts import Part, dump_parts


class Server:
    """What lasts: the rows and the ledger."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.ledger: dict[str, Entry] = {}


class MemoryDatabase:
    """A connection to *server*. Rows are the bytes of parts; 0 is bad.

    *failures* says of each step from the first on whether the connection breaks: before it, after it, or not.
    """

    def __init__(self, server: Server, failures: Sequence[str] = ()) -> None:
        self.commit_seconds = 0.5
        self.server = server
        self.failures = list(failures)
        self.is_connected = False
        self.open_rows: list[int] | None = None

    def _step(self, when: str) -> None:
        if not self.is_connected:
            raise Away("not connected")
        if self.failures and self.failures[0] == when:
            del self.failures[0]
            self.abandon()
            raise Away(when)
        if when == "after" and self.failures and self.failures[0] == "not":
            del self.failures[0]

    def connect(self) -> None:
        self.is_connected = True

    def prepare(self) -> None:
        self._step("before")

    def recipe(self) -> EncoderRecipe:
        raise NotImplementedError

    def entry(self, job: str) -> Entry | None:
        self._step("before")
        return self.server.ledger.get(job)

    def claim(self, job: str, entry: Entry, *, reset: bool) -> Entry:
        self._step("before")
        found = self.server.ledger.get(job)
        base = entry if found is None else found
        if reset:
            base = replace(base, identity=entry.identity, checkpoint=entry.checkpoint)
        self.server.ledger[job] = replace(base, epoch=base.epoch + 1)
        return self.server.ledger[job]

    def begin(self) -> None:
        assert self.open_rows is None
        self._step("before")
        self.open_rows = []

    def insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        self._step("before")
        rows = [value for part in parts for row, value in enumerate(part.data) if row not in refused]
        bad = {
            row: Refusal(code="zero", message="is 0")
            for row, value in enumerate(parts[0].data)
            if value == 0 and row not in refused
        }
        assert self.open_rows is not None
        if not bad:
            self.open_rows += rows
        self._step("after")
        return bad

    def roll_back(self) -> None:
        self._step("before")
        self.open_rows = None

    def settle(self, job: str, entry: Entry) -> bool:
        self._step("before")
        found = self.server.ledger[job]
        assert self.open_rows is not None
        is_ours = (found.epoch, found.commits) == (entry.epoch, entry.commits - 1)
        if is_ours:
            self.server.rows += self.open_rows
            self.server.ledger[job] = entry
        self.open_rows = None
        self._step("after")
        return is_ours

    def abandon(self) -> None:
        self.is_connected = False
        self.open_rows = None


IDENTITY = Identity(version=1, sources=(SourceMark(name="in"),), handler="m:h", options={})


def sink_over(database: MemoryDatabase, **more: Any) -> SqlSink:
    return SqlSink(database, "db#t", TableName(table="t"), options={}, sleep=lambda _: None, **more)


def result(data: bytes, refused: frozenset[int] = frozenset()) -> Result:
    part = Part(columns=("a",), indices=None, count=len(data), data=data)
    return Result(number=0, body=dump_parts([part]), numbers=range(len(data)), refused=refused)


@given(
    st.lists(st.sampled_from(["before", "after", "not"]), max_size=40), st.lists(st.booleans(), max_size=12)
)
def test_each_row_is_there_once_wherever_the_connection_breaks(
    failures: list[str], commits: list[bool]
) -> None:
    server = Server()
    database = MemoryDatabase(server)
    sink = sink_over(database)
    assert sink.open(IDENTITY, overwrite=False) is None
    database.failures = failures
    committed = 0
    for number, is_committed in enumerate(commits, 1):
        sink.write(result(bytes([number, number])))
        if is_committed:
            sink.commit(Checkpoint(next=number, out=sink.length))
            committed = number
            assert server.rows == [each for each in range(1, number + 1) for _ in range(2)]
    sink.close()

    again = sink_over(MemoryDatabase(server))
    found = again.open(IDENTITY, overwrite=False)
    assert (found.next if found else 0, again.length) == (committed, 2 * committed)
    assert server.rows == [each for each in range(1, committed + 1) for _ in range(2)]


def test_bad_rows_are_said_and_can_be_left_out() -> None:
    server = Server()
    database = MemoryDatabase(server)
    sink = sink_over(database)
    sink.open(IDENTITY, overwrite=False)

    with pytest.raises(RowsRefused) as caught:
        sink.write(result(b"\1\0\2\0"))

    assert list(caught.value.rows) == [1, 3]
    assert database.open_rows is None  # no lock is held meanwhile
    sink.write(result(b"\1\0\2\0", frozenset((1, 3))))
    sink.commit(Checkpoint(next=1))
    assert (server.rows, sink.length) == ([1, 2], 2)


def test_an_older_process_can_commit_nothing() -> None:
    server = Server()
    old, new = sink_over(MemoryDatabase(server)), sink_over(MemoryDatabase(server))
    old.open(IDENTITY, overwrite=False)
    old.write(result(b"\1"))
    new.open(IDENTITY, overwrite=False)

    with pytest.raises(SinkTaken):
        old.commit(Checkpoint(next=1))

    assert server.rows == []
    new.write(result(b"\1"))
    new.commit(Checkpoint(next=1))
    assert server.rows == [1]


def test_an_older_process_is_told_when_it_connects_again() -> None:
    server = Server()
    database = MemoryDatabase(server)
    old = sink_over(database)
    old.open(IDENTITY, overwrite=False)
    old.write(result(b"\1"))
    sink_over(MemoryDatabase(server)).open(IDENTITY, overwrite=False)
    database.failures = ["before"]

    with pytest.raises(SinkTaken):
        old.write(result(b"\2"))


def test_a_process_that_opens_a_new_run_a_moment_later_takes_what_the_first_has_done() -> None:
    server = Server()

    class Late(MemoryDatabase):
        def entry(self, job: str) -> Entry | None:
            found = super().entry(job)
            first = sink_over(MemoryDatabase(server))
            first.open(IDENTITY, overwrite=False)
            first.write(result(b"\1"))
            first.commit(Checkpoint(next=1))
            return found

    found = sink_over(Late(server)).open(IDENTITY, overwrite=False)

    assert found == Checkpoint(next=1)


def test_overwrite_forgets_the_run_and_shuts_out_the_process_that_had_it() -> None:
    server = Server()
    old = sink_over(MemoryDatabase(server))
    old.open(IDENTITY, overwrite=False)
    old.write(result(b"\1"))
    old.commit(Checkpoint(next=1))
    old.write(result(b"\2"))

    assert sink_over(MemoryDatabase(server)).open(IDENTITY, overwrite=True) is None

    with pytest.raises(SinkTaken):
        old.commit(Checkpoint(next=2))


def test_a_run_of_other_options_is_refused() -> None:
    server = Server()
    sink_over(MemoryDatabase(server)).open(IDENTITY, overwrite=False)

    with pytest.raises(ConfigurationError, match="ordered was None, and is now False"):
        sink_over(MemoryDatabase(server)).open(replace_options(ordered=False), overwrite=False)


def replace_options(**options: Any) -> Identity:
    return Identity(version=1, sources=IDENTITY.sources, handler=IDENTITY.handler, options=options)


def test_it_gives_up_after_its_deadline() -> None:
    times = iter(range(0, 1000, 7))
    database = MemoryDatabase(Server())
    sink = sink_over(database, deadline=20.0, clock=lambda: float(next(times)))
    sink.open(IDENTITY, overwrite=False)
    database.failures = ["before"] * 100

    with pytest.raises(SinkError, match="was away for 20 seconds"):
        sink.write(result(b"\1"))

    assert len(database.failures) == 97


def test_a_commit_that_goes_through_after_everybody_looked_is_not_made_twice() -> None:
    server = Server()

    class Slow(MemoryDatabase):
        """The connection breaks at a commit, which the server ends only after the ledger was read again."""

        late: tuple[str, Entry, list[int]] | None = None
        has_broken = False

        def settle(self, job: str, entry: Entry) -> bool:
            if not self.has_broken and self.open_rows is not None:
                self.has_broken = True
                self.late = (job, entry, self.open_rows)
                self.abandon()
                raise Away("the answer is lost")
            return super().settle(job, entry)

        def begin(self) -> None:
            super().begin()
            if self.late is not None:
                job, entry, rows = self.late
                self.server.rows += rows
                self.server.ledger[job] = entry
                self.late = None

    sink = sink_over(Slow(server))
    sink.open(IDENTITY, overwrite=False)
    sink.write(result(b"\1"))
    sink.commit(Checkpoint(next=1))
    sink.write(result(b"\2"))
    sink.commit(Checkpoint(next=2))

    assert server.rows == [1, 2]
