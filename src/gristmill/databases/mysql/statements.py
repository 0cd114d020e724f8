"""The SQL of MySQL and MariaDB for many rows at once; pure. The driver writes the values into ``%s``."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.databases.names import quoted
from gristmill.databases.operation import Operation
from gristmill.databases.table import Table

MOST_ROWS = 500
"""Rows of a statement: the default ``max_allowed_packet`` takes 32 KB of each then."""

_QUOTE = "`"


def insertion(
    operation: Operation, table: Table, columns: Sequence[str], count: int, *, returns: bool
) -> str:
    """Return an INSERT of *count* rows, which is an upsert where *operation* is one.

    Args:
        operation: An insert or an upsert.
        table: Where.
        columns: Of the rows.
        count: How many rows.
        returns: Whether the server has RETURNING. It gives a row for each item, in their order.
    """
    row = f"({', '.join(['%s'] * len(columns))})"
    sql = f"INSERT INTO {_table(table)} ({names(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608
    if operation.kind == "upsert":
        # VALUES(): MariaDB has no row alias, and MySQL still takes it.
        changes = ", ".join(f"{_name(each)} = VALUES({_name(each)})" for each in operation.updated(columns))
        sql += f" ON DUPLICATE KEY UPDATE {changes}"
    if operation.returning and returns:
        sql += f" RETURNING {names(operation.returning)}"
    return sql


def update(operation: Operation, table: Table, columns: Sequence[str], count: int) -> str:
    """Return an UPDATE of *count* rows by their keys.

    Its values: for each changed column (key, value) of every row, then the keys of every row.
    """
    match = " AND ".join(f"{_name(each)} = %s" for each in operation.key)
    whens = " ".join([f"WHEN {match} THEN %s"] * count)
    changes = ", ".join(f"{_name(each)} = CASE {whens} END" for each in operation.updated(columns))
    return f"UPDATE {_table(table)} SET {changes} WHERE {among(operation.key, count)}"  # noqa: S608 - quoted names


def deletion(operation: Operation, table: Table, count: int) -> str:
    """Return a DELETE of *count* rows by their keys."""
    return f"DELETE FROM {_table(table)} WHERE {among(operation.key, count)}"  # noqa: S608 - as above


def selection(table: Table, columns: Sequence[str], key: Sequence[str], count: int, *, locks: bool) -> str:
    """Return the statement that looks *count* rows up: keys, then *columns*."""
    lock = " FOR UPDATE" if locks else ""
    return f"SELECT {names([*key, *columns])} FROM {_table(table)} WHERE {among(key, count)}{lock}"  # noqa: S608


def selection_of_each(table: Table, columns: Sequence[str], key: Sequence[str], count: int) -> str:
    """Return the statement that looks *count* rows up one by one: the number of the key, then *columns*.

    So the database says which key finds which row: it may hold ``Ann`` for ``ann``.
    """
    match = " AND ".join(f"{_name(each)} = %s" for each in key)
    return " UNION ALL ".join(
        f"SELECT {number} AS gristmill_n, {names(columns)} FROM {_table(table)} WHERE {match}"  # noqa: S608
        for number in range(count)
    )


def among(key: Sequence[str], count: int) -> str:
    """Return the condition that a row has one of *count* keys."""
    mark = "%s" if len(key) == 1 else f"({', '.join(['%s'] * len(key))})"
    left = _name(key[0]) if len(key) == 1 else f"({names(key)})"
    return f"{left} IN ({', '.join([mark] * count)})"


def names(columns: Sequence[str]) -> str:
    """Return *columns* as SQL takes them."""
    return ", ".join(map(_name, columns))


def _name(column: str) -> str:
    return quoted(column, _QUOTE).replace("%", "%%")


def _table(table: Table) -> str:
    return table.name.quoted(_QUOTE).replace("%", "%%")
