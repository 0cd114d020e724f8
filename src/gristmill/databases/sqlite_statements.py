"""The SQL of SQLite for one row, and what SQLite says of a table; pure but for that question."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from gristmill.databases.names import TableName, quoted
from gristmill.databases.operation import Operation
from gristmill.databases.table import Column, Table, no_such_table


def inspect(connection: apsw.Connection, name: TableName) -> Table:
    """Return the table *name*.

    Raises:
        ConfigurationError: There is none.
    """
    rows = connection.execute(
        "SELECT name, type, hidden, pk FROM pragma_table_xinfo(?, ?)", (name.table, name.schema or "main")
    ).fetchall()
    if not rows:
        raise no_such_table(name)
    key = sorted((int(place), str(column)) for column, _, _, place in rows if place)
    return Table(
        name=name,
        columns={
            str(column): Column(name=str(column), type=str(kind), is_generated=bool(hidden))
            for column, kind, hidden, _ in rows
        },
        key=tuple(column for _, column in key),
    )


def row_statement(operation: Operation, table: Table, columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the statement for one row of *columns*, and the columns in the order of its parameters."""
    name = table.name.quoted()
    # Without RETURNING nothing would tell a stored row from one that a trigger left out.
    returning = f" RETURNING {', '.join(map(quoted, operation.returning)) or '1'}"
    if operation.kind in ("insert", "upsert"):
        what = f"({_list(columns)}) VALUES ({', '.join('?' * len(columns))})" if columns else "DEFAULT VALUES"
        return f"INSERT INTO {name} {what}{_on_conflict(operation, columns)}{returning}", tuple(columns)
    match = " AND ".join(f"{quoted(each)} = ?" for each in operation.key)
    if operation.kind == "delete":
        return f"DELETE FROM {name} WHERE {match}{returning}", operation.key  # noqa: S608 - quoted names
    changed = operation.updated(columns)
    changes = ", ".join(f"{quoted(each)} = ?" for each in changed)
    return f"UPDATE {name} SET {changes} WHERE {match}{returning}", (*changed, *operation.key)  # noqa: S608


def selection(table: Table, columns: Sequence[str], key: Sequence[str], count: int) -> str:
    """Return the statement that looks up *count* rows: keys, then *columns*."""
    mark = "?" if len(key) == 1 else f"({', '.join('?' * len(key))})"
    match = f"({_list(key)}) IN (VALUES {', '.join([f'({mark})' if len(key) == 1 else mark] * count)})"
    return f"SELECT {_list([*key, *columns])} FROM {table.name.quoted()} WHERE {match}"  # noqa: S608 - as above


def _on_conflict(operation: Operation, columns: Sequence[str]) -> str:
    if operation.kind == "insert":
        return ""
    changes = ", ".join(f"{quoted(each)} = excluded.{quoted(each)}" for each in operation.updated(columns))
    return f" ON CONFLICT ({_list(operation.key)}) DO UPDATE SET {changes}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
