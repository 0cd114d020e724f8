"""One table of a SQLite database: opens it, and stores batches; blocking, for one thread.

Each row is an INSERT of its own inside the transaction of its batch: SQLite
undoes exactly the statement that breaks a constraint, so the neighbours of a
bad row stay, and rows pair with their RETURNING without guessing (of one
INSERT with many rows, SQLite promises no order). That costs about 2 µs a row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import apsw

from gristmill.databases.rows import ReadRow, ResultBuilder, as_scalar, field_names, row_reader
from gristmill.databases.sqlite_errors import DANGLING, IGNORED, ROW_ERRORS, batch_error, row_failure
from gristmill.errors import ConfigurationError
from gristmill.model.outcome import Failed

R = TypeVar("R")

Database: TypeAlias = str | os.PathLike[str] | apsw.Connection
Synchronous: TypeAlias = Literal["OFF", "NORMAL", "FULL", "EXTRA"]

_MAX_PLANS = 256  # dicts from outside may come with any set of keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How the database is opened; see ``SqliteWriter``."""

    create: str | None
    synchronous: Synchronous
    busy_timeout: float  # seconds


class _Plan(NamedTuple):
    """How rows of one shape are inserted."""

    sql: str
    columns: tuple[str, ...]
    read: ReadRow


class _TransactionLost(Exception):
    """RAISE(ROLLBACK) or ON CONFLICT ROLLBACK of the schema undid the rows before the one it refused."""

    def __init__(self, index: int, failed: Failed) -> None:
        super().__init__(index)
        self.index = index
        self.failed = failed


class SqliteTable(Generic[R]):
    """Stores batches of rows in *table*; opened at the first one."""

    def __init__(
        self,
        database: Database,
        table: str,
        columns: tuple[str, ...] | None,
        results: ResultBuilder[R],
        opening: Opening,
    ) -> None:
        self._database = database
        self._table = table
        self._columns = columns
        self._results = results
        self._opening = opening
        self._connection: apsw.Connection | None = None
        self._known: tuple[str, ...] = ()
        self._plans: dict[object, _Plan] = {}

    def insert(self, rows: Sequence[Any]) -> list[R | Failed]:
        """Store *rows*; what it returns and raises is told at ``SqliteWriter.insert``."""
        try:
            connection = self._connection or self._open()
            plans = [self._plan(row) for row in rows]
            return self._store(connection, rows, plans)
        except apsw.Error as error:
            raise batch_error(error) from error

    def close(self) -> None:
        """Close the database, unless the caller brought it open."""
        connection, self._connection = self._connection, None
        if connection is not None and connection is not self._database:
            connection.close()

    def _store(
        self, connection: apsw.Connection, rows: Sequence[Any], plans: list[_Plan | Failed]
    ) -> list[R | Failed]:
        checks_references = False
        while True:
            try:
                with _transaction(connection):
                    return self._insert_rows(connection, rows, plans, checks_references=checks_references)
            except _TransactionLost as lost:
                plans[lost.index] = lost.failed
            except apsw.ConstraintError:
                # Only COMMIT raises it here: a deferred foreign key is open, so look for it row by row.
                if checks_references:
                    raise
                checks_references = True

    def _insert_rows(
        self,
        connection: apsw.Connection,
        rows: Sequence[Any],
        plans: Sequence[_Plan | Failed],
        *,
        checks_references: bool,
    ) -> list[R | Failed]:
        insert = self._insert_checked if checks_references else self._insert_row
        cursor = connection.cursor()
        cursor.convert_binding = lambda _cursor, _number, value: as_scalar(value)
        outcomes: list[R | Failed] = []
        for index, (row, plan) in enumerate(zip(rows, plans, strict=True)):
            outcome = plan if isinstance(plan, Failed) else insert(cursor, plan, plan.read(row))
            if isinstance(outcome, Failed) and not connection.in_transaction:
                raise _TransactionLost(index, outcome)
            outcomes.append(outcome)
        return outcomes

    def _insert_row(self, cursor: apsw.Cursor, plan: _Plan, values: tuple[Any, ...]) -> R | Failed:
        try:
            stored = cursor.execute(plan.sql, values).fetchall()
        except ROW_ERRORS as error:
            return row_failure(error, table=self._table, columns=plan.columns, values=values)
        return self._results.build(stored[0]) if stored else IGNORED

    def _insert_checked(self, cursor: apsw.Cursor, plan: _Plan, values: tuple[Any, ...]) -> R | Failed:
        """Do as ``_insert_row``, and undo a row that leaves a deferred foreign key open."""
        cursor.execute("SAVEPOINT one_row")
        outcome = self._insert_row(cursor, plan, values)
        if cursor.connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] > 0:
            outcome = DANGLING
            cursor.execute("ROLLBACK TO one_row")
        cursor.execute("RELEASE one_row")
        return outcome

    def _plan(self, row: Any) -> _Plan | Failed:
        """Return the statement for *row*, or why this row, a dict, has none."""
        shape: object = tuple(row) if isinstance(row, dict) else type(row)
        plan = self._plans.get(shape)
        if plan is not None:
            return plan
        if isinstance(row, dict):
            allowed = self._known if self._columns is None else self._columns
            unknown = [name for name in row if name not in allowed]
            if unknown:
                return Failed(f"unknown columns; known are {', '.join(allowed)}", "unknown_column")
            columns = tuple(row)
        else:
            columns = self._columns_of(type(row))
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[shape] = made = _Plan(
            self._sql(columns), columns, row_reader(columns, is_dict=isinstance(row, dict))
        )
        return made

    def _columns_of(self, kind: type) -> tuple[str, ...]:
        fields = tuple(field_names(kind))
        if self._columns is None:
            self._check(
                fields, self._known, f"fields of {kind.__name__}", "; pass columns= to store only some"
            )
            return fields
        missing = [name for name in self._columns if name not in fields]
        if missing:
            names, known = ", ".join(missing), ", ".join(fields)
            raise ConfigurationError(
                f"columns= names what {kind.__name__} does not have: {names}; it has {known}"
            )
        return self._columns

    def _sql(self, columns: Sequence[str]) -> str:
        names = ", ".join(map(_quoted, columns))
        marks = ", ".join("?" * len(columns))
        what = f"({names}) VALUES ({marks})" if columns else "DEFAULT VALUES"
        returning = ", ".join(map(_quoted, self._results.columns))
        return f"INSERT INTO {_quoted(self._table)} {what} RETURNING {returning}"

    def _open(self) -> apsw.Connection:
        if isinstance(self._database, apsw.Connection):
            self._prepare(self._database)
            self._connection = self._database
            return self._connection
        connection = apsw.Connection(os.fspath(self._database))
        try:
            connection.set_busy_timeout(int(self._opening.busy_timeout * 1000))
            self._enter_wal(connection)
            connection.pragma("synchronous", self._opening.synchronous)
            connection.pragma("foreign_keys", True)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _enter_wal(self, connection: apsw.Connection) -> None:
        """Change to WAL mode.

        While another connection does the same, SQLite refuses at once, without the busy timeout.
        """
        give_up_at = time.monotonic() + self._opening.busy_timeout
        while True:
            try:
                connection.pragma("journal_mode", "WAL")
            except apsw.BusyError:
                if time.monotonic() >= give_up_at:
                    raise
                with _transaction(connection):  # waits for the other one's lock, by the busy timeout
                    pass
            else:
                return

    def _prepare(self, connection: apsw.Connection) -> None:
        """Create what is asked for, and check the names of columns against the table."""
        if self._opening.create is not None:
            with _transaction(connection):
                connection.execute(self._opening.create)
        info = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (self._table,)).fetchall()
        if not info:
            raise ConfigurationError(
                f"there is no table {self._table}: create it, or pass create='CREATE TABLE ...'"
            )
        self._known = tuple(
            str(name) for name, hidden in info if not hidden
        )  # hidden: generated, not written
        self._check(self._columns or (), self._known, "columns")
        self._check(self._results.columns, [str(name) for name, _ in info], "columns of returning")

    def _check(self, names: Sequence[str], known: Sequence[str], what: str, advice: str = "") -> None:
        unknown = [name for name in names if name not in known]
        if unknown:
            listed = f"{', '.join(unknown)}; it has {', '.join(known)}"
            raise ConfigurationError(f"{what} that the table {self._table} does not have: {listed}{advice}")


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
