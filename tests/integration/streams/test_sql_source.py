"""Queries and tables of real databases as inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from gristmill import Failed, batch
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.options import ReadOptions, RunOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.stopping import Stopping

seen: list[Any] = []


@batch
def note(rows: list[Any]) -> list[Any]:
    seen.extend(rows)
    return [None] * len(rows)


@batch
def ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": row["id"]} for row in rows]


class Person(msgspec.Struct):
    id: int
    name: str
    born: datetime | None = None


@batch
def typed(rows: list[Person]) -> list[Any]:
    seen.extend(rows)
    return [Failed("no", "no") if row.id == 2 else {"id": row.id} for row in rows]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def run(
    source: str, handler: Any, folder: Path, *, stops: bool = False, ordered: bool = True, **read: Any
) -> Report:
    """Run into ``out.ndjson``; with *stops* until a first part is committed."""
    options = RunOptions(workers=0, ordered=ordered)
    pipeline = Pipeline(source, handler, folder / "out.ndjson", read=ReadOptions(**read), options=options)
    stopping = Stopping(grace=0.0)

    def watch(report: Report) -> None:
        if stops and (folder / "out.ndjson.partial").exists() and report.counts.read:
            stopping.ask()

    return pipeline.run(watch=watch, stopping=stopping)


def out(folder: Path) -> list[Any]:
    return [msgspec.json.decode(line)["id"] for line in (folder / "out.ndjson").read_bytes().splitlines()]


def fill(database: Any, total: int) -> None:
    database.sql("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
    values = ", ".join(f"({3 * number}, 'person {number} {'x' * 60}')" for number in range(total))
    database.sql(f"INSERT INTO people VALUES {values}")  # noqa: S608 - our own numbers


def test_a_query_of_postgresql_keeps_its_types(postgres: Any, tmp_path: Path) -> None:
    query = """SELECT 1::int8 AS id, 1.10::numeric AS exact, 'ü'::text AS text, NULL::text AS nothing,
        ''::text AS empty,
        '2024-02-29 12:00+00'::timestamptz AS at, '\\x00ff'::bytea AS raw, ARRAY[1, NULL] AS list,
        '{"a": [1]}'::jsonb AS doc, '00000000-0000-0000-0000-000000000007'::uuid AS key ORDER BY 1;"""

    run(postgres.url, note, tmp_path, query=query)

    assert [
        {
            "id": 1, "exact": Decimal("1.10"), "text": "ü", "nothing": None, "empty": "",
            "at": datetime(2024, 2, 29, 12, tzinfo=UTC), "raw": b"\x00\xff", "list": [1, None],
            "doc": {"a": [1]}, "key": UUID(int=7),
        }
    ] == seen  # fmt: skip


def test_types_of_postgresql_that_python_has_not_are_text_or_dicts(postgres: Any, tmp_path: Path) -> None:
    postgres.sql("CREATE TYPE pair AS (a int, b int4range)")
    query = """SELECT '(1,2)'::point AS point, '<(1,2),3>'::circle AS circle, B'101' AS bits,
        '10.0.0.1/8'::inet AS net, int4range(1, 5) AS some, 'empty'::int4range AS none,
        numrange(1.5, NULL) AS open,
        ROW(1, int4range(2, 3))::pair AS pair, ARRAY[int4range(1, 2), NULL] AS list ORDER BY 1::int"""

    run(postgres.url, note, tmp_path, query=query)

    assert seen == [
        {
            "point": "(1,2)", "circle": "<(1,2),3>", "bits": "101", "net": "10.0.0.1/8",
            "some": "[1,5)", "none": "empty", "open": "[1.5,)",
            "pair": {"a": 1, "b": "[2,3)"}, "list": ["[1,2)", None],
        }
    ]  # fmt: skip


def test_a_query_of_sqlite_keeps_its_types(sqlite: Any, tmp_path: Path) -> None:
    run(
        sqlite.url,
        note,
        tmp_path,
        query="SELECT 1 AS id, 1.5 AS real, 'ü' AS text, NULL AS no, x'00ff' AS raw",
    )

    assert seen == [{"id": 1, "real": 1.5, "text": "ü", "no": None, "raw": b"\x00\xff"}]


def test_a_query_may_lie_in_a_file(database: Any, tmp_path: Path) -> None:
    fill(database, 5)
    (tmp_path / "some.sql").write_text("SELECT id FROM people ORDER BY id DESC;\n")

    run(database.url, ids, tmp_path, query=f"@{tmp_path / 'some.sql'}")

    assert out(tmp_path) == [12, 9, 6, 3, 0]


def test_rows_become_what_the_handler_takes_and_bad_ones_fail_alone(database: Any, tmp_path: Path) -> None:
    database.sql("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
    database.sql("INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob'), (3, NULL), (4, 'Dan')")

    report = run(database.table("people"), typed, tmp_path)

    assert [Person(1, "Ada"), Person(2, "Bob"), Person(4, "Dan")] == seen
    assert (report.counts.succeeded, report.counts.failed, report.total) == (2, 2, 4)
    letters = [
        msgspec.json.decode(line) for line in (tmp_path / "out.ndjson.dead.ndjson").read_bytes().splitlines()
    ]
    assert [(each["row"], each["start"], each["code"]) for each in letters] == [
        (2, 1, "no"),
        (3, 2, "invalid_item"),
    ]
    assert letters[0]["item"] == {"id": 2, "name": "Bob"}
    assert letters[0]["source"].endswith("#people")


@pytest.mark.parametrize("read", [{"table": "people"}, {"query": "SELECT * FROM people ORDER BY id"}])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_run_that_was_stopped_goes_on_with_the_next_row(
    database: Any, tmp_path: Path, read: dict[str, str], *, ordered: bool
) -> None:
    fill(database, 3000)

    first = run(database.url, ids, tmp_path, stops=True, ordered=ordered, **read)
    assert not first.is_done
    assert 0 < first.counts.read < 3000
    second = run(database.url, ids, tmp_path, ordered=ordered, **read)

    assert second.counts.read == 3000
    assert out(tmp_path) == list(range(0, 9000, 3))


def test_a_query_without_an_order_does_not_go_on(database: Any, tmp_path: Path) -> None:
    fill(database, 3000)
    query = "SELECT * FROM people"
    run(database.url, ids, tmp_path, stops=True, query=query)

    with pytest.raises(ConfigurationError, match="the query has no ORDER BY"):
        run(database.url, ids, tmp_path, query=query)


def test_another_query_is_another_run(database: Any, tmp_path: Path) -> None:
    fill(database, 3000)
    run(database.url, ids, tmp_path, stops=True, query="SELECT id FROM people ORDER BY id")

    with pytest.raises(ConfigurationError, match="query was SELECT id FROM people ORDER BY id, and is now"):
        run(database.url, ids, tmp_path, query="SELECT id FROM people ORDER BY id DESC")


@pytest.mark.parametrize(
    ("columns", "values", "expected"),
    [
        ("a text, b int, PRIMARY KEY (b, a)", "('x', 2), ('é', 1), ('a', 1)", [("a", 1), ("é", 1), ("x", 2)]),
        ("a uuid PRIMARY KEY", f"('{UUID(int=9)}'), ('{UUID(int=1)}')", [(UUID(int=1),), (UUID(int=9),)]),
        ("a bytea PRIMARY KEY", "('\\xff'), ('\\x00')", [(b"\x00",), (b"\xff",)]),
        (
            "a timestamptz PRIMARY KEY",
            "('2024-01-01 00:00:00.000002+02'), ('2024-01-01 00:00:00.000001+02')",
            [
                (datetime(2023, 12, 31, 22, 0, 0, 1, tzinfo=UTC),),
                (datetime(2023, 12, 31, 22, 0, 0, 2, tzinfo=UTC),),
            ],
        ),
        ("a numeric PRIMARY KEY", "(1.50), (1.499999999999999999999)", None),
    ],
)
def test_any_key_of_postgresql_can_be_gone_on_after(
    postgres: Any, columns: str, values: str, expected: list[Any] | None
) -> None:
    from gristmill.databases.names import table_name  # noqa: PLC0415 - beside their use
    from gristmill.streams.sql.address import address_of  # noqa: PLC0415 - as above
    from gristmill.streams.sql.postgres.reading import PostgresReading  # noqa: PLC0415 - as above

    postgres.sql(f"CREATE TABLE t ({columns})")
    postgres.sql(f"INSERT INTO t VALUES {values}")  # noqa: S608 - our own
    reading = PostgresReading(address_of(postgres.url), query=None, table=table_name("t"))
    reading.open()
    found: list[Any] = []
    key = None
    while rows := (feed := reading.feed(key)).fetch(1):
        found += rows
        key = feed.key
    reading.close()

    assert found == (expected or [(Decimal("1.499999999999999999999"),), (Decimal("1.50"),)])


@pytest.mark.parametrize(
    "table",
    ["(a text PRIMARY KEY, rowid int)", "(a text PRIMARY KEY)", "(a text PRIMARY KEY) WITHOUT ROWID"],
)
def test_any_table_of_sqlite_can_be_read(sqlite: Any, tmp_path: Path, table: str) -> None:
    sqlite.sql(f"CREATE TABLE t {table}")
    sqlite.sql("INSERT INTO t (a) VALUES ('b'), ('a')")

    run(sqlite.table("t"), note, tmp_path)

    assert sorted(each["a"] for each in seen) == ["a", "b"]


def test_an_empty_table_is_no_rows(database: Any, tmp_path: Path) -> None:
    fill(database, 1)
    database.sql("DELETE FROM people")

    assert run(database.table("people"), ids, tmp_path).counts.read == 0
    assert out(tmp_path) == []


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ({}, "say what to read of"),
        ({"query": "SELECT 1", "table": "people"}, "not both"),
        ({"table": "nowhere"}, "there is no table nowhere"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "several columns named a"),
        ({"query": " ; "}, "the query is empty"),
        ({"query": "@/no/such.sql"}, "cannot be read from /no/such.sql"),
        ({"query": "SELEC 1"}, "syntax error"),
    ],
)
def test_what_cannot_be_read_is_said(database: Any, tmp_path: Path, read: dict[str, str], words: str) -> None:
    with pytest.raises((ConfigurationError, SourceError), match=words):
        run(database.url, ids, tmp_path, **read)


def test_a_query_cannot_write(database: Any, tmp_path: Path) -> None:
    fill(database, 2)

    with pytest.raises((SourceError, ConfigurationError)):
        run(database.url, ids, tmp_path, query="DELETE FROM people RETURNING id")

    assert database.sql("SELECT count(*) FROM people") == [(2,)]


def test_a_server_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        run("postgresql://me:secret@127.0.0.1:1/db", ids, tmp_path, query="SELECT 1")

    assert "secret" not in str(caught.value)
