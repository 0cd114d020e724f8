"""The SQL of PostgreSQL for many rows at once; pure.

Rows come as one array a column (``unnest``): one statement for batches of
every size, which is prepared once a connection. ``WITH ORDINALITY`` and
``ORDER BY`` make PostgreSQL write the rows in the order of the items, and
answer in it. Where a column is an array itself, ``unnest`` would flatten it,
so the rows come as VALUES. A column that can be joined comes as one text,
which becomes the array on the server (``joining.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from gristmill.databases.names import quoted
from gristmill.databases.operation import Operation
from gristmill.databases.postgres.joining import array
from gristmill.databases.table import Column, Family, Table

Form: TypeAlias = Literal["copy", "unnest", "values"]

MAX_PARAMETERS = 32_767
MAX_CACHED = 15_000
"""Characters of a statement that asyncpg keeps prepared, unless its pool is told otherwise."""

_COPY_FROM = 100
_VALUES_FROM = 2
_VALUES_TO = 1_000
_MOST = {"copy": 100_000, "unnest": 10_000}


def choose(
    operation: Operation,
    table: Table,
    columns: Sequence[str],
    count: int,
    *,
    may_copy: bool,
    may_join: bool,
    recurs: bool,
) -> Form:
    """Return the form in which *count* rows are sent.

    Measured with two text columns, 500 rows with ids returned: VALUES 1.15
    times unnest of arrays, if it is prepared already; from 1000 rows on unnest is ahead
    (1.5 times at 2000); unnest of joined columns is ahead of both (1.15 times VALUES at 500,
    as fast at 100). Without RETURNING, COPY is ahead of both from about
    100 rows on: 1.2 times there, 1.7 times at 10 000.

    Args:
        operation: What is asked.
        table: Where.
        columns: Of the rows.
        count: How many rows.
        may_copy: Whether the connection's codecs are known to be the driver's own.
        may_join: Whether every column can be joined.
        recurs: Whether the same number of rows came before, so that its VALUES are prepared.
    """
    if any(table.columns[name].family is Family.ARRAY for name in columns):
        return "values"
    is_insert = operation.kind == "insert" and bool(columns)
    if is_insert and not operation.returning and table.takes_copy and count >= _COPY_FROM:
        has_json = any(table.columns[name].family is Family.JSON for name in columns)
        if may_copy or not has_json:
            return "copy"
    if is_insert and recurs and not may_join and _VALUES_FROM <= count < _VALUES_TO:
        width = sum(7 for _ in columns) * count
        return "values" if width < MAX_CACHED - 2_000 else "unnest"
    return "unnest"


def most_rows(form: Form, columns: Sequence[str]) -> int:
    """Return how many rows one statement of *form* takes."""
    return _MOST.get(form) or max(1, MAX_PARAMETERS // (len(columns) + 1))


def statement(
    operation: Operation,
    table: Table,
    columns: tuple[str, ...],
    form: Form,
    count: int,
    *,
    joined: tuple[bool, ...] = (),
) -> str:
    """Return the statement; *count* rows matter to VALUES only, and which columns are *joined* to unnest."""
    count = count if form == "values" else 0
    return table.remembered(
        (operation, columns, form, count, joined),
        lambda: _statement(operation, table, columns, form, count, joined=joined),
    )


def _statement(
    operation: Operation,
    table: Table,
    columns: Sequence[str],
    form: Form,
    count: int,
    *,
    joined: Sequence[bool],
) -> str:
    described = [table.columns[name] for name in columns]
    if operation.kind == "insert" and form == "values":
        return (
            f"{_into(table, columns)} VALUES {_plain_values(described, count)}{_returning(operation, table)}"
        )
    if not columns:
        empty = "SELECT FROM generate_series(1, $1::int)"
        return f"{_into(table, columns)} {empty}{_returning(operation, table)}"
    source = _source(described, form, count, joined or (False,) * len(columns))
    if operation.kind in ("insert", "upsert"):
        select = ", ".join(f"r.c{number}{_cast(column)}" for number, column in enumerate(described))
        insert = f"{_into(table, columns)} SELECT {select} FROM {source} ORDER BY r.n"  # noqa: S608 - quoted names
        return f"{insert}{_on_conflict(operation, columns)}{_returning(operation, table)}"
    match = " AND ".join(f"t.{quoted(name)} = {_value(table, columns, name)}" for name in operation.key)
    if operation.kind == "delete":
        start = f"DELETE FROM {table.name.quoted()} AS t USING {source}"  # noqa: S608 - quoted names
    else:
        changes = ", ".join(
            f"{quoted(name)} = {_value(table, columns, name)}" for name in operation.updated(columns)
        )
        start = f"UPDATE {table.name.quoted()} AS t SET {changes} FROM {source}"  # noqa: S608 - quoted names
    return f"{start} WHERE {match} RETURNING {', '.join(['r.n', *_answers(operation, table)])}"


def selection(table: Table, columns: Sequence[str], key: Sequence[str]) -> str:
    """Return the statement that looks rows up: keys, then *columns*; one array of keys a column of them."""
    answer = ", ".join(_answer(table.columns[name]) for name in (*key, *columns))
    if len(key) == 1:
        match = f"t.{quoted(key[0])} = ANY($1::{table.columns[key[0]].type}[])"
    else:
        names = ", ".join(f"t.{quoted(name)}" for name in key)
        arrays = ", ".join(f"${n}::{table.columns[name].type}[]" for n, name in enumerate(key, 1))
        match = f"({names}) IN (SELECT * FROM unnest({arrays}))"  # noqa: S608 - quoted names
    return f"SELECT {answer} FROM {table.name.quoted()} AS t WHERE {match}"  # noqa: S608 - quoted names


def _into(table: Table, columns: Sequence[str]) -> str:
    names = f" ({', '.join(map(quoted, columns))})" if columns else ""
    return f"INSERT INTO {table.name.quoted()} AS t{names}"


def _source(columns: Sequence[Column], form: Form, count: int, joined: Sequence[bool]) -> str:
    names = ", ".join([*(f"c{number}" for number in range(len(columns))), "n"])
    if form == "unnest":
        arrays = ", ".join(
            array(column, f"${number}", _sent(column), is_joined=is_joined)
            for number, (column, is_joined) in enumerate(zip(columns, joined, strict=True), 1)
        )
        return f"unnest({arrays}) WITH ORDINALITY AS r({names})"
    rows = []
    for row in range(count):
        first = row * len(columns) + 1
        marks = [f"${first + number}::{_sent(column)}" for number, column in enumerate(columns)]
        rows.append(f"({', '.join([*marks, str(row + 1)])})")
    return f"(VALUES {', '.join(rows)}) AS r({names})"


def _plain_values(columns: Sequence[Column], count: int) -> str:
    """Return the VALUES of an INSERT, whose parameters have the types of the columns by themselves."""
    if not columns:
        raise AssertionError("rows without values come by generate_series")
    marks = []
    for row in range(count):
        first = row * len(columns) + 1
        each = (
            f"${first + number}::text::{column.type}"
            if column.family is Family.JSON
            else f"${first + number}"
            for number, column in enumerate(columns)
        )
        marks.append(f"({','.join(each)})")
    return ",".join(marks)


def _sent(column: Column) -> str:
    """Return the type in which values travel; JSON as text, whatever codec the connection has."""
    return "text" if column.family is Family.JSON else column.type


def _cast(column: Column) -> str:
    return f"::{column.type}" if column.family is Family.JSON else ""


def _value(table: Table, columns: Sequence[str], name: str) -> str:
    return f"r.c{columns.index(name)}{_cast(table.columns[name])}"


def _on_conflict(operation: Operation, columns: Sequence[str]) -> str:
    if operation.kind == "insert":
        return ""
    target = ", ".join(map(quoted, operation.key))
    changes = ", ".join(f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in operation.updated(columns))
    return f" ON CONFLICT ({target}) DO UPDATE SET {changes}"


def _returning(operation: Operation, table: Table) -> str:
    answers = _answers(operation, table)
    return f" RETURNING {', '.join(answers)}" if answers else ""


def _answers(operation: Operation, table: Table) -> list[str]:
    return [_answer(table.columns[name]) for name in operation.returning]


def _answer(column: Column) -> str:
    cast = "::text" if column.family is Family.JSON else ""
    return f"t.{quoted(column.name)}{cast}"
