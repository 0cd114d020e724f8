"""One table of a SQLite database: opens it, and stores batches; blocking, for one thread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import apsw

from gristmill.databases.names import quoted
from gristmill.databases.rows import ReadRow, ResultBuilder, field_names, row_reader
from gristmill.databases.sqlite_errors import batch_error
from gristmill.databases.sqlite_opening import Synchronous, open_database
from gristmill.databases.sqlite_rows import Answer, RowStatement, store, transaction
from gristmill.errors import ConfigurationError
from gristmill.model.outcome import Failed

R = TypeVar("R")

Database: TypeAlias = str | os.PathLike[str] | apsw.Connection

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
            statements = [
                plan if isinstance(plan, Failed) else RowStatement(plan.sql, plan.columns, plan.read(row))
                for row, plan in zip(rows, plans, strict=True)
            ]
            return store(connection, self._table, statements, self._built)
        except apsw.Error as error:
            raise batch_error(error) from error

    def close(self) -> None:
        """Close the database, unless the caller brought it open."""
        connection, self._connection = self._connection, None
        if connection is not None and connection is not self._database:
            connection.close()

    def _built(self, stored: Sequence[Answer]) -> list[R | Failed]:
        return [each if isinstance(each, Failed) else self._results.build(each) for each in stored]

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
        names = ", ".join(map(quoted, columns))
        marks = ", ".join("?" * len(columns))
        what = f"({names}) VALUES ({marks})" if columns else "DEFAULT VALUES"
        returning = ", ".join(map(quoted, self._results.columns))
        return f"INSERT INTO {quoted(self._table)} {what} RETURNING {returning}"

    def _open(self) -> apsw.Connection:
        if isinstance(self._database, apsw.Connection):
            self._prepare(self._database)
            self._connection = self._database
            return self._connection
        connection = open_database(
            os.fspath(self._database), self._opening.synchronous, self._opening.busy_timeout
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        """Create what is asked for, and check the names of columns against the table."""
        if self._opening.create is not None:
            with transaction(connection):
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
