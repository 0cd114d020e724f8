from __future__ import annotations

import enum
import uuid
from contextlib import closing
from decimal import Decimal

import apsw
import pytest

from gristmill.databases.sqlite import SqliteWriter
from gristmill.errors import DatabaseFailed
from gristmill.model.outcome import Failed

THINGS = """
CREATE TABLE things(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    age INT CONSTRAINT grown CHECK (age >= 18),
    a INT, b INT,
    owner INT REFERENCES things(id),
    UNIQUE (a, b)
);
INSERT INTO things(id, name, a, b) VALUES (1, 'secret', 1, 1);
CREATE TABLE letters(id INTEGER PRIMARY KEY, name TEXT);
CREATE UNIQUE INDEX by_letter ON letters(lower(name));
CREATE TABLE strict_things(id INTEGER PRIMARY KEY, age INT) STRICT;
CREATE TABLE guarded(id INTEGER PRIMARY KEY, name TEXT);
CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ABORT, 'the secret of others'); END;
"""


def insert(database, table, rows, **options):
    with closing(SqliteWriter(database, table, **options)) as writer:
        return writer.insert_sync(rows)


@pytest.mark.parametrize(
    ("row", "text", "code"),
    [
        ({"name": "secret"}, "name already exists", "unique_violation"),
        ({"id": 1, "name": "x"}, "id already exists", "unique_violation"),
        ({"name": "x", "a": 1, "b": 1}, "this combination of a and b already exists", "unique_violation"),
        ({"name": None}, "name must not be null", "not_null_violation"),
        ({"name": "x", "age": 3}, "the check grown does not hold", "check_violation"),
        ({"name": "x", "owner": 77}, "a row it refers to does not exist", "foreign_key_violation"),
        ({"id": "x", "name": "x"}, "the key must be an integer", "type_mismatch"),
        ({"name": "x", "a": {}}, "a: a value of type dict cannot be stored", "type_mismatch"),
        ({"name": Decimal(1), "a": [1]}, "a: a value of type list cannot be stored", "type_mismatch"),
        ({"name": "x", "a": object()}, "a: a value of type object cannot be stored", "type_mismatch"),
        ({"name": "x\ud800"}, "name is no valid Unicode text", "type_mismatch"),
        ({"name": "x", "a": 2**63}, "a does not fit in 64 bits", "number_out_of_range"),
        ({"name": "x", "a": -(2**63) - 1}, "a does not fit in 64 bits", "number_out_of_range"),
    ],
)
def test_a_refused_row_is_told_the_column_and_the_code(tmp_path, row, text, code):
    rows = [{"name": "before"}, row, {"name": "after"}]
    results = insert(tmp_path / "t.db", "things", rows, create=THINGS)
    assert results == [{"id": 2}, Failed(text, code, retryable=False), {"id": 3}]


def test_a_strict_table_names_the_column_of_the_wrong_type(tmp_path):
    results = insert(tmp_path / "t.db", "strict_things", [{"age": "old"}, {"age": 1}], create=THINGS)
    assert results == [Failed("age has a value of the wrong type", "type_mismatch"), {"id": 1}]


def test_an_index_of_an_expression_is_named_itself(tmp_path):
    results = insert(tmp_path / "t.db", "letters", [{"name": "a"}, {"name": "A"}], create=THINGS)
    text = "such a row, by the index 'by_letter', already exists"
    assert results == [{"id": 1}, Failed(text, "unique_violation")]


def test_a_triggers_own_text_is_not_shown(tmp_path):
    results = insert(tmp_path / "t.db", "guarded", [{"name": "x"}], create=THINGS)
    assert results == [
        Failed("a rule of the table, such as a trigger, refuses the row", "constraint_violation")
    ]


def test_a_table_named_in_other_case_still_gives_plain_column_names(tmp_path):
    results = insert(tmp_path / "t.db", "THINGS", [{"name": "secret"}], create=THINGS)
    assert results == [Failed("name already exists", "unique_violation")]


def test_a_value_longer_than_sqlite_takes_fails_alone(tmp_path):
    with closing(apsw.Connection(str(tmp_path / "t.db"))) as connection:
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, 1000)
        results = insert(connection, "things", [{"name": "x" * 2000}, {"name": "y"}], create=THINGS)
    assert results == [Failed("a value, or the whole row, is too big for the database", "too_big"), {"id": 2}]


class Colour(enum.Enum):
    RED = "red"


def test_the_largest_integers_and_values_that_json_can_write_are_stored(tmp_path):
    key = uuid.UUID(int=5)
    rows = [
        {"name": key, "a": 2**63 - 1},
        {"name": Colour.RED, "a": -(2**63)},
        {"name": Decimal("1.50"), "a": True},
    ]
    results = insert(tmp_path / "t.db", "things", rows, create=THINGS, returning=("name", "a"))
    assert results == [
        {"name": str(key), "a": 2**63 - 1},
        {"name": "red", "a": -(2**63)},
        {"name": "1.50", "a": 1},
    ]


def test_a_full_disk_fails_the_whole_batch_and_stores_nothing(tmp_path):
    with closing(apsw.Connection(str(tmp_path / "t.db"))) as connection:
        connection.execute(THINGS)
        connection.pragma("max_page_count", 20)
        with pytest.raises(
            DatabaseFailed, match=r"^the disk is full; nothing of this batch was stored$"
        ) as caught:
            insert(connection, "things", [{"name": f"{i}" * 500} for i in range(1000)])
        assert isinstance(caught.value.__cause__, apsw.FullError)
        assert connection.execute("SELECT count(*) FROM things").fetchall() == [(1,)]
        assert insert(connection, "things", [{"name": "x"}]) == [{"id": 2}]


def test_a_read_only_database_says_so(tmp_path):
    with closing(apsw.Connection(str(tmp_path / "t.db"))) as connection:
        connection.execute(THINGS)
        connection.pragma("query_only", True)
        with pytest.raises(DatabaseFailed, match=r"^the database is read-only: check the permissions"):
            insert(connection, "things", [{"name": "x"}])


def test_a_folder_that_does_not_exist_says_so(tmp_path):
    with pytest.raises(DatabaseFailed, match="cannot be opened: its folder must exist"):
        insert(tmp_path / "none" / "t.db", "things", [{"name": "x"}], create=THINGS)


def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "t.db").write_bytes(b"not a database " * 100)
    with pytest.raises(DatabaseFailed, match=r"^the file is no SQLite database"):
        insert(tmp_path / "t.db", "things", [{"name": "x"}], create=THINGS)


def test_sql_that_is_wrong_says_what_sqlite_said(tmp_path):
    with pytest.raises(DatabaseFailed, match=r'near "CREAT": syntax error; nothing of this batch was stored'):
        insert(tmp_path / "t.db", "things", [{"name": "x"}], create="CREAT TABLE")


def test_an_error_of_the_schemas_own_function_shows_nothing_of_it(tmp_path):
    def refuse(_value):
        raise TypeError("secret")

    with closing(apsw.Connection(str(tmp_path / "t.db"))) as connection:
        connection.create_scalar_function("refuse", refuse, 1)
        create = "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK (a < 5 OR refuse(a)))"
        results = insert(connection, "t", [{"a": 9}, {"a": 1}], create=create)
    assert results == [Failed("a value cannot be stored", "type_mismatch"), {"id": 1}]
