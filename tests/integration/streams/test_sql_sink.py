"""Results into tables of real databases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from gristmill import batch
from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.options import RunOptions, WriteOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report

Lines = Callable[[Sequence[Any]], str]


@batch(max_size=50)
def same(rows: list[Any]) -> list[Any]:
    return rows


class Person(msgspec.Struct):
    id: int
    name: str


class Colour(Enum):
    RED = "red"


class Everything(msgspec.Struct):
    id: int
    whole: int
    real: float
    exact: Decimal
    text: str
    nothing: str | None
    truth: bool
    raw: bytes
    at: datetime
    day: date
    clock: time
    span: timedelta
    key: UUID
    colour: Colour
    tags: list[str]
    more: dict[str, Any]


@batch(max_size=50)
def everything(rows: list[dict[str, Any]]) -> list[Everything]:
    return [
        Everything(
            id=row["id"],
            whole=2**62 + row["id"],
            real=0.1,
            exact=Decimal("12345678901234567890.123456789"),
            text='a,"b"\n\t\\N\r\n\\. Grüße 🦀',
            nothing=None,
            truth=True,
            raw=b"\x00\xff\\N",
            at=datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC),
            day=date(1969, 7, 20),
            clock=time(23, 59, 59, 1),
            span=timedelta(days=3, seconds=5),
            key=UUID(int=7),
            colour=Colour.RED,
            tags=['with "quotes"', "and, commas"],
            more={"deep": [1, None]},
        )
        for row in rows
    ]


def run(
    source: str, handler: Any, sink: str, folder: Path, *, overwrite: bool = False, **write: Any
) -> Report:
    options = RunOptions(workers=0, dead_letter=str(folder / "dead.ndjson"), overwrite=overwrite)
    return Pipeline(source, handler, sink, write=WriteOptions(**write), options=options).run()


def dead(folder: Path) -> list[dict[str, Any]]:
    path = folder / "dead.ndjson"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_every_type_arrives_as_it_is(postgres: Any, lines: Lines, tmp_path: Path) -> None:
    report = run(lines([{"id": 1}]), everything, postgres.table("everything"), tmp_path, create_table=True)

    assert report.counts.succeeded == 1
    found = postgres.sql("SELECT * FROM everything")[0]
    assert found == (
        1, 2**62 + 1, 0.1, Decimal("12345678901234567890.123456789"),
        'a,"b"\n\t\\N\r\n\\. Grüße 🦀', None, True,
        b"\x00\xff\\N", datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC), date(1969, 7, 20),
        time(23, 59, 59, 1), timedelta(days=3, seconds=5), UUID(int=7), "red",
        '["with \\"quotes\\"", "and, commas"]', '{"deep": [1, null]}',
    )  # fmt: skip


def test_sqlite_gets_its_own_types(sqlite: Any, lines: Lines, tmp_path: Path) -> None:
    run(lines([{"id": 1}]), everything, sqlite.table("everything"), tmp_path, create_table=True)

    found = sqlite.sql('SELECT id, whole, real, exact, "nothing", truth, raw, at, tags FROM everything')[0]
    assert found == (
        1, 2**62 + 1, 0.1, "12345678901234567890.123456789", None, 1, b"\x00\xff\\N",
        "2024-02-29T12:30:15.123456Z", '["with \\"quotes\\"","and, commas"]',
    )  # fmt: skip


def test_null_and_the_empty_string_are_two_things(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint, name text)")
    rows = [{"id": 1, "name": None}, {"id": 2, "name": ""}, {"id": 3, "name": "\\N"}, {"id": 4, "name": '""'}]

    run(lines(rows), same, database.table("t"), tmp_path)

    assert database.sql("SELECT id, name FROM t ORDER BY id") == [(1, None), (2, ""), (3, "\\N"), (4, '""')]


def test_lists_fill_arrays_and_objects_fill_json(postgres: Any, lines: Lines, tmp_path: Path) -> None:
    postgres.sql("CREATE TABLE t (numbers int[], words text[], grid int[], doc jsonb, plain json)")
    rows = [
        {"numbers": [1, None, 3], "words": ['a"b', "c\\d", "", "NULL"], "grid": [[1, 2], [3, 4]], "doc": [1],
         "plain": True},
        {"numbers": [], "words": None, "grid": None, "doc": {"a": "ü"}, "plain": '{"text": 1}'},
    ]  # fmt: skip

    run(lines(rows), same, postgres.table("t"), tmp_path)

    assert postgres.sql("SELECT * FROM t ORDER BY numbers DESC") == [
        ([1, None, 3], ['a"b', "c\\d", "", "NULL"], [[1, 2], [3, 4]], "[1]", "true"),
        ([], None, None, '{"a": "ü"}', '{"text": 1}'),
    ]


def test_a_column_that_a_row_leaves_out_has_its_default(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint, name text DEFAULT 'nobody')")
    rows = [{"id": each} | ({"name": "x"} if each % 2 else {}) for each in range(100)]

    report = run(lines(rows), same, database.table("t"), tmp_path)

    assert report.counts.succeeded == 100
    found = database.sql("SELECT name, count(*) FROM t GROUP BY name ORDER BY name")
    assert found == [("nobody", 50), ("x", 50)]


@dataclasses.dataclass
class Plain:
    id: int
    name: str


class Model(pydantic.BaseModel):
    id: int
    name: str


@batch
def plain(rows: list[dict[str, Any]]) -> list[Plain]:
    return [Plain(**row) for row in rows]


@batch
def model(rows: list[dict[str, Any]]) -> list[Model]:
    return [Model(**row) for row in rows]


@pytest.mark.parametrize("handler", [plain, model])
def test_objects_are_rows_by_their_fields(database: Any, lines: Lines, tmp_path: Path, handler: Any) -> None:
    run(lines([{"id": 1, "name": "Ada"}]), handler, database.table("people"), tmp_path, create_table=True)

    assert database.sql("SELECT id, name FROM people") == [(1, "Ada")]


def test_odd_names_are_quoted(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql('CREATE TABLE "Odd ""one"".x" ("select" bigint, "a ""b""" text)')

    run(lines([{"select": 1, 'a "b"': "c"}]), same, database.table('"Odd ""one"".x"'), tmp_path)

    assert database.sql('SELECT * FROM "Odd ""one"".x"') == [(1, "c")]


def test_a_table_in_a_schema_has_its_ledger_there(postgres: Any, lines: Lines, tmp_path: Path) -> None:
    postgres.sql("CREATE SCHEMA sales; CREATE TABLE sales.people (id bigint, name text);")

    run(lines([{"id": 1, "name": "Ada"}]), same, postgres.table("sales.people"), tmp_path)

    assert postgres.sql("SELECT count(*) FROM sales.people") == [(1,)]
    assert postgres.sql("SELECT count(*) FROM sales.gristmill_ledger") == [(1,)]


STORM = """CREATE TABLE t (
    id bigint PRIMARY KEY, name varchar(5) NOT NULL CHECK (length(name) <= 5), boss bigint REFERENCES t (id)
)"""


def storm(total: int) -> tuple[list[dict[str, Any]], dict[int, set[str]]]:
    """Return rows of which many break a constraint, and the codes each bad one (numbered from 1) may have."""
    rows: list[dict[str, Any]] = []
    bad: dict[int, set[str]] = {}
    for number in range(1, total + 1):
        row: dict[str, Any] = {"id": number, "name": "ok", "boss": None}
        if number % 7 == 0:
            row["name"] = None
            bad[number] = {"not_null_violation"}
        elif number % 11 == 0:
            row["name"] = "far too long"
            bad[number] = {"string_too_long", "check_violation"}
        elif number % 13 == 0:
            row["id"] = 1
            bad[number] = {"unique_violation"}
        elif number % 101 == 0:
            row["boss"] = 10**9
            bad[number] = {"foreign_key_violation"}
        rows.append(row)
    return rows, bad


def test_each_bad_row_fails_alone(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql(STORM)
    rows, bad = storm(1500)

    report = run(lines(rows), same, database.table("t"), tmp_path)

    letters = dead(tmp_path)
    assert [each["row"] for each in letters] == sorted(bad)
    assert all(each["code"] in bad[each["row"]] and each["stage"] == "sink" for each in letters)
    assert all(each["item"] == rows[each["row"] - 1] for each in letters)
    assert (report.counts.succeeded, report.counts.failed) == (1500 - len(bad), len(bad))
    kept = [row["id"] for number, row in enumerate(rows, 1) if number not in bad]
    assert database.sql("SELECT id FROM t ORDER BY id") == [(each,) for each in sorted(kept)]
    text = Path(tmp_path / "rows.ndjson").read_bytes()
    for each in letters:
        assert msgspec.json.decode(text[each["start"] : each["end"]]) == each["item"]


calls: list[Any] = []


@batch(max_size=50)
def counted(rows: list[Any]) -> list[Any]:
    calls.extend(rows)
    return [None if row["id"] == 2 else row for row in rows]


def test_the_handler_does_not_run_again_for_rows_that_are_refused(
    database: Any, lines: Lines, tmp_path: Path
) -> None:
    database.sql("CREATE TABLE t (id bigint CHECK (id <> 5))")
    calls.clear()

    report = run(lines([{"id": each} for each in range(10)]), counted, database.table("t"), tmp_path)

    assert len(calls) == 10
    assert [each["row"] for each in dead(tmp_path)] == [6]
    assert (report.counts.succeeded, report.counts.failed, report.counts.filtered) == (8, 1, 1)


def test_a_table_that_takes_nothing_fails_every_row(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint CHECK (id < 0), name text)")

    report = run(
        lines([{"id": each, "name": "a\nb"} for each in range(300)]), same, database.table("t"), tmp_path
    )

    assert (report.counts.succeeded, report.counts.failed) == (0, 300)
    assert {each["code"] for each in dead(tmp_path)} == {"check_violation"}
    assert report.codes == {"check_violation": 300}


def test_a_deferred_constraint_fails_its_row_too(database: Any, lines: Lines, tmp_path: Path) -> None:
    deferred = "REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED"
    database.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, boss bigint {deferred})")
    rows = [{"id": each, "boss": 999 if each == 40 else None} for each in range(80)]

    run(lines(rows), same, database.table("t"), tmp_path)

    assert [(each["row"], each["code"]) for each in dead(tmp_path)] == [(41, "foreign_key_violation")]
    assert database.sql("SELECT count(*) FROM t") == [(79,)]


def test_text_that_is_no_number_fails_its_row(postgres: Any, lines: Lines, tmp_path: Path) -> None:
    postgres.sql("CREATE TABLE t (id int, at date)")
    rows = [{"id": "1", "at": "2024-01-01"}, {"id": "x\ny", "at": None}, {"id": 2**40, "at": None},
            {"id": 4, "at": "2024-13-01"}, {"id": 5, "at": "a\u0000b"}, {"id": 6, "at": None}]  # fmt: skip

    run(lines(rows), same, postgres.table("t"), tmp_path)

    assert [(each["row"], each["code"]) for each in dead(tmp_path)] == [
        (2, "type_mismatch"),
        (3, "number_out_of_range"),
        (4, "number_out_of_range"),
        (5, "type_mismatch"),
    ]
    assert postgres.sql("SELECT id FROM t ORDER BY id") == [(1,), (6,)]


def test_a_result_with_an_unknown_column_fails_alone(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint)")

    run(lines([{"id": 1}, {"id": 2, "age": 3}]), same, database.table("t"), tmp_path)

    assert database.sql("SELECT id FROM t") == [(1,)]
    assert "the result has age, and the table t has only id" in dead(tmp_path)[0]["message"]


def test_conflicts_are_ignored_where_that_is_asked_for(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
    database.sql("INSERT INTO t VALUES (1, 'old')")
    rows = [{"id": 1, "name": "new"}, {"id": 2, "name": "a"}, {"id": 2, "name": "b"}]

    report = run(lines(rows), same, database.table("t"), tmp_path, on_conflict="ignore")

    assert report.counts.failed == 0
    assert database.sql("SELECT * FROM t ORDER BY id") == [(1, "old"), (2, "a")]


def test_conflicts_update_and_the_last_row_of_a_key_counts(
    database: Any, lines: Lines, tmp_path: Path
) -> None:
    database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name text, age int DEFAULT 7)")
    database.sql("INSERT INTO t VALUES (1, 'old', 50)")
    rows = [{"id": 1, "name": "new"}, {"id": 2, "name": "a"}, {"id": 2, "name": "b"},
            {"id": 2, "age": 9}, {"id": None, "name": "x"}]  # fmt: skip
    if database.kind == "sqlite":
        rows.pop()  # SQLite makes a key of NULL

    run(lines(rows), same, database.table("t"), tmp_path, on_conflict="update")

    assert database.sql("SELECT * FROM t ORDER BY id") == [(1, "new", 50), (2, "b", 9)]
    assert [each["code"] for each in dead(tmp_path)] == ["not_null_violation"] * (database.kind != "sqlite")


def test_bad_rows_fail_alone_in_an_update_too(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(5) CHECK (length(name) <= 5))")
    rows = [
        {"id": each % 50, "name": "far too long" if each in (3, 77) else f"n{each}"} for each in range(100)
    ]

    run(lines(rows), same, database.table("t"), tmp_path, on_conflict="update", conflict_columns=("id",))

    assert [each["row"] for each in dead(tmp_path)] == [4, 78]
    assert database.sql("SELECT id, name FROM t WHERE id IN (3, 27, 28) ORDER BY id") == [
        (3, "n53"),
        (27, "n27"),
        (28, "n78"),
    ]


def test_a_finished_run_does_nothing_again(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint)")
    path = lines([{"id": 1}, {"id": 2}])
    run(path, same, database.table("t"), tmp_path)

    report = run(path, same, database.table("t"), tmp_path)

    assert report.is_done
    assert report.counts.succeeded == 2
    assert database.sql("SELECT count(*) FROM t") == [(2,)]


def test_overwrite_runs_again_and_leaves_the_rows(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint)")
    path = lines([{"id": 1}])
    run(path, same, database.table("t"), tmp_path)

    run(path, same, database.table("t"), tmp_path, overwrite=True)

    assert database.sql("SELECT count(*) FROM t") == [(2,)]


def test_another_input_is_another_run_into_the_same_table(
    database: Any, lines: Lines, tmp_path: Path
) -> None:
    database.sql("CREATE TABLE t (id bigint)")
    first = Path(lines([{"id": 1}])).rename(tmp_path / "first.ndjson")
    run(str(first), same, database.table("t"), tmp_path)
    run(lines([{"id": 2}]), same, database.table("t"), tmp_path)

    assert database.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_changed_input_is_refused(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE t (id bigint)")
    run(lines([{"id": 1}]), same, database.table("t"), tmp_path)

    with pytest.raises(ConfigurationError, match="has changed since"):
        run(lines([{"id": 1}, {"id": 2}]), same, database.table("t"), tmp_path)


@batch
def people(rows: list[dict[str, Any]]) -> list[Person]:
    return [Person(**row) for row in rows]


def test_a_missing_table_comes_with_the_statement_that_makes_it(
    database: Any, lines: Lines, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="there is no table people") as caught:
        run(lines([]), people, database.table("people"), tmp_path)

    statement = str(caught.value).partition("\n\n")[2].strip().removesuffix(";")
    database.sql(statement)
    run(lines([{"id": 1, "name": "Ada"}]), people, database.table("people"), tmp_path)
    assert database.sql("SELECT * FROM people") == [(1, "Ada")]


def test_a_missing_column_is_named_before_anything_runs(database: Any, lines: Lines, tmp_path: Path) -> None:
    database.sql("CREATE TABLE people (id bigint)")

    with pytest.raises(ConfigurationError, match=r"\(Person\) have name, and the table people has only id"):
        run(lines([{"id": 1, "name": "Ada"}]), people, database.table("people"), tmp_path)


def test_a_server_that_is_not_there_is_said_at_once(lines: Lines, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be reached") as caught:
        run(lines([]), same, "postgresql://me:secret@127.0.0.1:1/db#t", tmp_path)

    assert "secret" not in str(caught.value)


def test_the_password_is_in_nothing_that_is_kept(postgres: Any, lines: Lines, tmp_path: Path) -> None:
    postgres.sql("CREATE TABLE t (id bigint)")
    url = postgres.url.replace("postgres:@", "postgres:topsecret@", 1)

    run(lines([{"id": 1}, {"id": "x"}]), same, f"{url}#t", tmp_path)

    kept = str(postgres.sql("SELECT * FROM gristmill_ledger")) + str(dead(tmp_path))
    assert "topsecret" not in kept
