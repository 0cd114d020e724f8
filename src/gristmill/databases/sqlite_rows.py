"""Rows into SQLite, one statement each, in one transaction; blocking, for one thread.

SQLite undoes exactly the statement that breaks a constraint, so the
neighbours of a bad row stay, and rows pair with their RETURNING without
guessing (of one INSERT with many rows, SQLite promises no order). A statement
is a call in the same process: about 2 µs a row, so there is nothing to halve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

import apsw

from gristmill.databases.operation import IGNORED
from gristmill.databases.rows import as_scalar
from gristmill.databases.sqlite_errors import DANGLING, ROW_ERRORS, row_failure
from gristmill.model.outcome import Failed

T = TypeVar("T")

Answer: TypeAlias = "tuple[Any, ...] | Failed"


class RowStatement(NamedTuple):
    """One row.

    Attributes:
        sql: Its statement, with RETURNING.
        columns: Of *values*.
        values: To be bound.
        nothing: The outcome if no row comes back.
    """

    sql: str
    columns: Sequence[str]
    values: Sequence[Any]
    nothing: Failed = IGNORED


class TransactionLost(Exception):
    """RAISE(ROLLBACK) or ON CONFLICT ROLLBACK of the schema undid the rows before the one it refused."""

    def __init__(self, index: int, failed: Failed) -> None:
        super().__init__(index)
        self.index = index
        self.failed = failed


def store(
    connection: apsw.Connection,
    table: str,
    rows: Sequence[RowStatement | Failed],
    finish: Callable[[list[Answer]], T],
) -> T:
    """Run *rows* in a transaction of their own.

    Args:
        connection: Without a transaction.
        table: Its name, for texts.
        rows: One statement each, or why there is none.
        finish: Is given the row that each gave back, or why it has none; what it raises undoes everything.

    Returns:
        What *finish* returns.
    """
    pending = list(rows)
    checks_references = False
    while True:
        try:
            with transaction(connection):
                return finish(run_rows(connection, table, pending, checks_references=checks_references))
        except TransactionLost as lost:
            pending[lost.index] = lost.failed
        except apsw.ConstraintError:
            # Only COMMIT raises it here: a deferred foreign key is open, so look for it row by row.
            if checks_references:
                raise
            checks_references = True


def run_rows(
    connection: apsw.Connection,
    table: str,
    rows: Sequence[RowStatement | Failed],
    *,
    checks_references: bool = False,
) -> list[Answer]:
    """Do as ``store``, in the transaction that is open.

    Raises:
        TransactionLost: It is not any more.
    """
    cursor = connection.cursor()
    cursor.convert_binding = lambda _cursor, _number, value: as_scalar(value)
    run = _run_checked if checks_references else _run
    outcomes: list[Answer] = []
    for index, row in enumerate(rows):
        outcome = row if isinstance(row, Failed) else run(cursor, table, row)
        if isinstance(outcome, Failed) and not connection.in_transaction:
            raise TransactionLost(index, outcome)
        outcomes.append(outcome)
    return outcomes


def _run(cursor: apsw.Cursor, table: str, row: RowStatement) -> Answer:
    try:
        stored = cursor.execute(row.sql, row.values).fetchall()
    except ROW_ERRORS as error:
        return row_failure(error, table=table, columns=row.columns, values=row.values)
    return tuple(stored[0]) if stored else row.nothing


def _run_checked(cursor: apsw.Cursor, table: str, row: RowStatement) -> Answer:
    """Do as ``_run``, and undo a row that leaves a deferred foreign key open."""
    cursor.execute("SAVEPOINT one_row")
    outcome = _run(cursor, table, row)
    if cursor.connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] > 0:
        outcome = DANGLING
        cursor.execute("ROLLBACK TO one_row")
    cursor.execute("RELEASE one_row")
    return outcome


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Open a write transaction; leaving it commits, or rolls back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
