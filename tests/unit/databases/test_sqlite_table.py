from __future__ import annotations

import multiprocessing
from contextlib import closing
from dataclasses import dataclass

import apsw
import msgspec
import pytest

from gristmill.databases.slugs import refusal
from gristmill.databases.sqlite import SqliteWriter
from gristmill.errors import ConfigurationError, DatabaseBusy
from gristmill.model.outcome import Failed

NOTES = """
CREATE TABLE IF NOT EXISTS notes(
    id INTEGER PRIMARY KEY,
    text TEXT DEFAULT 'none',
    size INT AS (length(text))
);
"""
DANGLING = Failed("a row it refers to does not exist", "foreign_key_violation")


class Note(msgspec.Struct):
    text: str


class Titled(msgspec.Struct):
    title: str
    text: str


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.db"


def insert(database, table, rows, **options):
    with closing(SqliteWriter(database, table, **options)) as writer:
        return writer.insert_sync(rows)


def select(path, sql):
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(sql).fetchall()


def test_the_database_is_in_wal_mode_and_its_foreign_keys_hold(path):
    create = "CREATE TABLE a(id INTEGER PRIMARY KEY REFERENCES b); CREATE TABLE b(id INTEGER PRIMARY KEY)"
    assert insert(path, "a", [{"id": 1}], create=create) == [DANGLING]
    assert select(path, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(("synchronous", "number"), [("NORMAL", 1), ("FULL", 2), ("EXTRA", 3)])
def test_synchronous_is_set_as_asked(path, synchronous, number):
    # The setting is the connection's own, so a trigger reads it there.
    create = """
        CREATE TABLE seen(id INTEGER PRIMARY KEY, value INT);
        CREATE TRIGGER look AFTER INSERT ON seen
        BEGIN UPDATE seen SET value = (SELECT * FROM pragma_synchronous); END
    """
    insert(path, "seen", [{"id": 1}], create=create, synchronous=synchronous)
    assert select(path, "SELECT value FROM seen") == [(number,)]


def test_an_existing_database_is_opened_again_with_the_same_create(path):
    assert insert(path, "notes", [Note("a")], create=NOTES) == [{"id": 1}]
    assert insert(path, "notes", [Note("b")], create=NOTES) == [{"id": 2}]


def test_a_connection_of_the_caller_is_used_and_left_open(path):
    with closing(apsw.Connection(str(path))) as connection:
        assert insert(connection, "notes", [Note("a")], create=NOTES) == [{"id": 1}]
        assert connection.execute("SELECT text FROM notes").fetchall() == [("a",)]
        assert connection.pragma("journal_mode") == "delete"


def test_a_missing_table_is_a_configuration_error_until_it_exists(path):
    with closing(SqliteWriter(path, "notes")) as writer:
        with pytest.raises(ConfigurationError, match="there is no table notes: create it, or pass create="):
            writer.insert_sync([Note("a")])
        select(path, NOTES)
        assert writer.insert_sync([Note("a")]) == [{"id": 1}]


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        (
            {"columns": ("text", "nope")},
            [],
            "columns that the table notes does not have: nope; it has id, text",
        ),
        ({"columns": ("size",)}, [], "columns that the table notes does not have: size; it has id, text"),
        (
            {"returning": ("id", "nope")},
            [],
            "columns of returning .* does not have: nope; it has id, text, size",
        ),
        ({"returning": Titled}, [], "columns of returning .* does not have: title; it has id, text, size"),
        (
            {},
            [Titled("a", "b")],
            r"fields of Titled that .* does not have: title; it has id, text; pass columns=",
        ),
        ({"columns": ("id", "text")}, [Note("a")], "columns= names what Note does not have: id; it has text"),
        ({}, [Note("a"), 7], "rows must be msgspec Structs, dataclasses, pydantic models or dicts, not int"),
    ],
)
def test_names_that_do_not_fit_are_configuration_errors_and_nothing_is_stored(path, options, rows, message):
    with pytest.raises(ConfigurationError, match=message):
        insert(path, "notes", rows, create=NOTES, **options)
    if path.exists() and rows:
        assert select(path, "SELECT * FROM notes") == []


def test_columns_store_a_part_of_the_fields(path):
    insert(path, "notes", [Titled("a", "b")], create=NOTES, columns=("text",))
    assert select(path, "SELECT text FROM notes") == [("b",)]


def test_generated_columns_may_be_returned(path):
    assert insert(path, "notes", [Note("abc")], create=NOTES, returning=("size",)) == [{"size": 3}]


def test_a_dict_may_leave_columns_to_their_defaults(path):
    rows = [{"text": "a"}, {}, {"id": 9}, {"id": None, "text": None}]
    results = insert(path, "notes", rows, create=NOTES, returning=("id", "text"))
    assert results == [
        {"id": 1, "text": "a"},
        {"id": 2, "text": "none"},
        {"id": 9, "text": "none"},
        {"id": 10, "text": None},
    ]


def test_a_dict_with_an_unknown_key_fails_alone(path):
    rows = [{"text": "a"}, {"text": "b", 'x" or 1': "c"}, {"text": "d", 5: "e"}, {"text": "f"}]
    unknown = Failed("unknown columns; known are id, text", "unknown_column")
    assert insert(path, "notes", rows, create=NOTES) == [{"id": 1}, unknown, unknown, {"id": 2}]


def test_a_dict_may_only_set_the_columns_asked_for(path):
    rows = [{"text": "a", "id": 7}, {"text": "b"}]
    refused = Failed("unknown columns; known are text", "unknown_column")
    assert insert(path, "notes", rows, create=NOTES, columns=("text",)) == [refused, {"id": 1}]


def test_more_shapes_of_dicts_than_are_remembered_are_all_stored(path):
    columns = [f"c{i}" for i in range(300)]
    create = f"CREATE TABLE wide(id INTEGER PRIMARY KEY, {', '.join(columns)})"
    results = insert(path, "wide", [{column: 1} for column in columns] * 2, create=create)
    assert results == [{"id": i} for i in range(1, 601)]


def test_names_that_need_quotes_are_names(path):
    create = 'CREATE TABLE "my ""table"""("the key" INTEGER PRIMARY KEY, "select" TEXT UNIQUE)'
    rows = [{"select": "x"}, {"select": "x"}]
    results = insert(path, 'my "table"', rows, create=create, returning=("the key",))
    assert results == [{"the key": 1}, Failed("select already exists", "unique_violation")]


@dataclass
class Part:
    id: int
    whole: int | None


PARTS = """
CREATE TABLE parts(
    id INTEGER PRIMARY KEY,
    whole INTEGER REFERENCES parts(id) DEFERRABLE INITIALLY DEFERRED
);
"""


def test_a_deferred_reference_may_point_at_a_later_row(path):
    results = insert(path, "parts", [Part(1, 2), Part(2, None)], create=PARTS)
    assert results == [{"id": 1}, {"id": 2}]


def test_a_deferred_reference_that_stays_open_fails_alone(path):
    rows = [Part(1, None), Part(2, 99), Part(3, 1), Part(3, 1), Part(4, 98)]
    twice = Failed("id already exists", "unique_violation")
    assert insert(path, "parts", rows, create=PARTS) == [{"id": 1}, DANGLING, {"id": 3}, twice, DANGLING]
    assert select(path, "SELECT * FROM parts") == [(1, None), (3, 1)]


def test_a_row_that_rolls_the_transaction_back_takes_no_neighbour_along(path):
    create = NOTES + (
        "CREATE TRIGGER t BEFORE INSERT ON notes WHEN new.text GLOB 'bad*' "
        "BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    )
    rows = [Note("a"), Note("bad 1"), Note("b"), Note("bad 2"), Note("c")]
    refused = refusal("constraint_violation")
    assert insert(path, "notes", rows, create=create) == [{"id": 1}, refused, {"id": 2}, refused, {"id": 3}]
    assert select(path, "SELECT text FROM notes") == [("a",), ("b",), ("c",)]


def test_a_row_that_rolls_back_among_open_references_fails_alone(path):
    create = PARTS + (
        "CREATE TRIGGER t BEFORE INSERT ON parts WHEN new.id = 7 BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    )
    rows = [Part(1, 99), Part(7, None), Part(2, None)]
    refused = refusal("constraint_violation")
    assert insert(path, "parts", rows, create=create) == [DANGLING, refused, {"id": 2}]


def test_a_row_that_the_table_ignores_says_so(path):
    create = NOTES + (
        "CREATE TRIGGER t BEFORE INSERT ON notes WHEN new.text = 'x' BEGIN SELECT RAISE(IGNORE); END"
    )
    ignored = Failed("not stored: the table ignores such a row", "ignored")
    assert insert(path, "notes", [Note("x"), Note("y")], create=create) == [ignored, {"id": 1}]


def test_a_locked_database_is_busy_and_works_again_afterwards(path):
    with closing(SqliteWriter(path, "notes", create=NOTES, busy_timeout=0)) as writer:
        writer.insert_sync([Note("a")])
        with closing(apsw.Connection(str(path))) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(
                DatabaseBusy, match="stayed locked for all of busy_timeout; nothing"
            ) as caught:
                writer.insert_sync([Note("b")])
            assert caught.value.retryable
            other.execute("ROLLBACK")
        assert writer.insert_sync([Note("c")]) == [{"id": 2}]


def test_a_database_locked_before_it_could_enter_wal_mode_is_busy(path):
    with closing(SqliteWriter(path, "notes", create=NOTES, busy_timeout=0)) as writer:
        with closing(apsw.Connection(str(path))) as other:
            other.execute(NOTES)
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(DatabaseBusy):
                writer.insert_sync([Note("a")])
            other.execute("ROLLBACK")
        assert writer.insert_sync([Note("a")]) == [{"id": 1}]


def _insert_in_child(path, number, barrier):
    barrier.wait(30)
    results = insert(path, "notes", [Note(f"{number}-{i}") for i in range(20)], create=NOTES, busy_timeout=30)
    if any(isinstance(result, Failed) for result in results):
        raise SystemExit(1)


def test_processes_that_open_a_new_database_at_once_all_store(path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    children = [context.Process(target=_insert_in_child, args=(path, i, barrier)) for i in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(50)
    assert [child.exitcode for child in children] == [0, 0, 0, 0]
    assert select(path, "SELECT count(*) FROM notes") == [(80,)]
