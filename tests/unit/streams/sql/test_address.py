from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.databases.names import TableName, table_name
from gristmill.errors import ConfigurationError
from gristmill.streams.sql.address import address_of, is_database


@pytest.mark.parametrize(
    ("url", "shown", "table"),
    [
        (
            "postgresql://me:secret@host:5432/db#people",
            "postgresql://me@host:5432/db",
            TableName(table="people"),
        ),
        (
            "postgres://host/db?password=secret&host=%2Ftmp#sales.people",
            "postgres://host/db?password=***&host=/tmp",
            TableName(schema="sales", table="people"),
        ),
        ("postgresql:///db", "postgresql:///db", None),
        ("postgresql://host/db#%22My%20Table%22", "postgresql://host/db", TableName(table="My Table")),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str, table: TableName | None) -> None:
    address = address_of(url)

    assert (address.kind, address.shown, address.table) == ("postgresql", shown, table)
    assert "secret" not in repr(address)
    assert "#" not in address.target


def test_a_sqlite_url_names_a_file() -> None:
    assert address_of("sqlite:////data/a#b.db#people").target == "/data/a#b.db"
    assert address_of("sqlite:///a.db").target == str(Path("a.db").absolute())
    assert address_of("sqlite:///a.db").table is None


@pytest.mark.parametrize(
    "url", ["sqlite://a.db", "sqlite:///", "sqlite:///:memory:", "postgresql://host:port/db"]
)
def test_a_url_that_names_nothing_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        address_of(url)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("people", '"people"'),
        ("Sales.People", '"Sales"."People"'),
        ('"a.b"."c ""d"""', '"a.b"."c ""d"""'),
        ('"My Table"', '"My Table"'),
    ],
)
def test_a_table_name_comes_back_as_it_was_written(text: str, quoted: str) -> None:
    name = table_name(text)

    assert name.quoted() == quoted
    assert table_name(str(name)) == name


@pytest.mark.parametrize("text", ["", "a.b.c", "a.", ".a", '"a', '"a"b', '""'])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        table_name(text)


def test_paths_are_no_databases() -> None:
    assert not any(map(is_database, ("a.csv", "postgres.csv", "file://a", "sqlite")))
    assert all(map(is_database, ("sqlite:///a", "postgres://h", "postgresql:///a")))
