"""The ledger of real databases: who may commit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gristmill.databases.names import table_name
from gristmill.streams.sql.address import address_of
from gristmill.streams.sql.database import Away, Database
from gristmill.streams.sql.ledger import Entry
from gristmill.streams.sql.opening import _loaded

NEW = Entry(identity=b"{}", checkpoint=b'{"next":0}', epoch=0, commits=0)


@pytest.fixture
def connect(database: Any) -> Any:
    """What opens another connection to the table ``t``."""
    database.sql("CREATE TABLE t (id bigint)")
    opened: list[Database] = []

    def open_one() -> Database:
        kind = _loaded(database.kind, "table", 1)
        found: Database = kind(address_of(database.url), table_name("t"), Any, "error", (), creates=False)
        opened.append(found)
        found.connect()
        found.prepare()
        return found

    yield open_one
    for each in opened:
        each.abandon()


def test_each_claim_is_a_new_epoch_and_keeps_what_was_done(connect: Any) -> None:
    first = connect()
    mine = first.claim("job", NEW, reset=False)
    assert (mine.epoch, mine.commits) == (1, 0)
    first.begin()
    assert first.settle("job", replace(mine, checkpoint=b'{"next":1}', commits=1))

    found = connect().claim("job", NEW, reset=False)

    assert found == Entry(identity=b"{}", checkpoint=b'{"next":1}', epoch=2, commits=1)
    assert connect().claim("job", NEW, reset=True).checkpoint == NEW.checkpoint


@pytest.mark.parametrize("changes", [{"epoch": 1, "commits": 1}, {"commits": 2}, {"commits": 0}])
def test_only_the_next_commit_of_the_last_epoch_is_taken(
    database: Any, connect: Any, changes: dict[str, int]
) -> None:
    connect().claim("job", NEW, reset=False)
    table = connect()
    mine = table.claim("job", NEW, reset=False)
    table.begin()

    assert not table.settle("job", replace(mine, **({"commits": 1} | changes)))

    assert table.entry("job") == mine
    table.begin()
    assert table.settle("job", replace(mine, commits=1))
    assert database.sql("SELECT epoch, commits FROM gristmill_ledger") == [(2, 1)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_claim_ends_the_session_of_the_process_before(connect: Any) -> None:
    old = connect()
    mine = old.claim("job", NEW, reset=False)
    old.begin()

    assert connect().claim("job", NEW, reset=False).epoch == 2

    with pytest.raises(Away):
        old.settle("job", replace(mine, commits=1))
