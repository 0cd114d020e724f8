"""A table of SQLite as a sink has it: looked at, written row by row, committed with the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from gristmill.databases.names import TableName, quoted
from gristmill.databases.slugs import slug_of_sqlite
from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.chunk import Refusal
from gristmill.streams.sql.address import Address
from gristmill.streams.sql.create_table import create_table
from gristmill.streams.sql.database import OnConflict
from gristmill.streams.sql.ledger import Entry
from gristmill.streams.sql.parts import Part, checked
from gristmill.streams.sql.sqlite.connection import open_file, text_of, translated
from gristmill.streams.sql.sqlite.encoding import ValuesRecipe, is_too_large, load_rows
from gristmill.streams.sql.sqlite.statements import statement

_ROW_ERRORS = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, OverflowError, UnicodeError)


class SqliteTable:
    """One table, over one connection; see ``Database``.

    A commit follows every write: SQLite has one writer, and others wait for it.

    Args:
        address: Where the file is.
        table: The table.
        result_type: Of the handler, for a table that is to be made.
        on_conflict: What becomes of a row whose key is there already.
        keys: The columns that tell it; none: the primary key.
        creates: Whether the file and the table are made if they are not there.
    """

    def __init__(
        self,
        address: Address,
        table: TableName,
        result_type: Any,
        on_conflict: OnConflict,
        keys: tuple[str, ...],
        *,
        creates: bool,
    ) -> None:
        self.commit_seconds = 0.0
        self._creates = creates
        self._path = address.target
        self._shown = address.shown
        self._table = table
        self._result_type = result_type
        self._on_conflict = on_conflict
        self._keys = keys
        self._names: tuple[str, ...] = ()
        self._raw: apsw.Connection | None = None
        if table.schema is not None:
            raise ConfigurationError(f"SQLite has no schemas: name the table alone, not {table}")

    def connect(self) -> None:
        """Open the file, if it is not open."""
        if self._raw is not None:
            return
        if not Path(self._path).parent.is_dir():
            raise ConfigurationError(f"there is no folder {Path(self._path).parent}")
        if not Path(self._path).exists() and not self._creates:
            raise ConfigurationError(
                f"there is no database {self._path}; create it and the table {self._table} in it, or "
                "have both created with --create-table"
            )
        try:
            self._raw = open_file(self._path, is_written=True, is_made=self._creates)
            with translated():
                self._raw.pragma("foreign_keys", True)
                self._raw.pragma("synchronous", "FULL")
        except apsw.Error as error:
            raise SinkError(f"{self._shown}: {text_of(error)}") from error

    def prepare(self) -> None:
        """Look at the table, and make what is to be made."""
        proposed = create_table("sqlite", self._table, self._result_type, self._keys)
        found = self._fetch(statement("table_columns"), self._table.table)
        if not found and self._creates and proposed is not None:
            self._fetch(proposed.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
            found = self._fetch(statement("table_columns"), self._table.table)
        if not found:
            advice = (
                ""
                if proposed is None
                else f"; create it, or have it created with --create-table:\n\n{proposed};\n"
            )
            raise ConfigurationError(f"there is no table {self._table} in {self._path}{advice}")
        self._names = tuple(str(name) for name, _ in found)
        checked(self._result_type, self._names, str(self._table))
        if self._on_conflict == "update" and not self._keys:
            keys = sorted((place, str(name)) for name, place in found if place)
            self._keys = tuple(name for _, name in keys)
            if not keys:
                raise ConfigurationError(
                    f"the table {self._table} has no primary key: name the columns that tell its rows "
                    "apart, with --conflict-columns"
                )
        unknown = [each for each in self._keys if each not in self._names]
        if unknown:
            raise ConfigurationError(
                f"--conflict-columns names {', '.join(unknown)}, and the table {self._table} has only "
                f"{', '.join(self._names)}"
            )
        self._fetch(statement("ledger_create"))

    def recipe(self) -> ValuesRecipe:
        """Return what encodes results."""
        return ValuesRecipe(
            table=str(self._table), names=self._names, is_order_kept=self._on_conflict != "error"
        )

    def entry(self, job: str) -> Entry | None:
        """Return what the ledger says."""
        rows = self._fetch(statement("ledger_read"), job)
        return _entry(rows[0]) if rows else None

    def claim(self, job: str, entry: Entry, *, reset: bool) -> Entry:
        """Take the next epoch."""
        values = (job, entry.identity.decode(), entry.checkpoint.decode(), reset)
        return _entry(self._fetch(statement("ledger_claim"), *values)[0])

    def begin(self) -> None:
        """Begin a transaction, with the lock for writing."""
        self._fetch("BEGIN IMMEDIATE")

    def insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        """Write the rows of a chunk, or say which are bad."""
        connection = self._opened()
        try:
            with translated():
                connection.execute("SAVEPOINT chunk")
                bad: dict[int, Refusal] = {}
                for part in parts:
                    self._insert_part(connection, part, refused, bad, is_alone=False)
                if not bad and connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] > 0:
                    connection.execute("ROLLBACK TO chunk")
                    for part in parts:
                        self._insert_part(connection, part, refused, bad, is_alone=True)
                if bad:
                    connection.execute("ROLLBACK TO chunk")
                connection.execute("RELEASE chunk")
        except apsw.Error as error:
            raise SinkError(f"{self._shown}: {text_of(error)}; what was committed is safe") from error
        return bad

    def _insert_part(
        self,
        connection: apsw.Connection,
        part: Part,
        refused: frozenset[int],
        bad: dict[int, Refusal],
        *,
        is_alone: bool,
    ) -> None:
        """Write the rows of *part*, and go on after each that is bad.

        The rows are drawn one by one, so the last one drawn is the one an error is about.
        """
        sql = self._sql(part.columns)
        rows = load_rows(part.data)
        drawn = 0

        def draw(start: int, stop: int) -> Iterator[list[Any]]:
            nonlocal drawn
            for drawn in range(start, stop):
                if part.index(drawn) not in refused:
                    yield rows[drawn]

        at = 0
        while at < len(rows):
            stop = at + 1 if is_alone else len(rows)
            try:
                if is_alone:
                    connection.execute("SAVEPOINT one_row")
                connection.executemany(sql, draw(at, stop))
                at = stop
            except _ROW_ERRORS as error:
                if not connection.in_transaction:
                    raise SinkError(
                        f"{self._shown}: a trigger or a constraint of {self._table} undid the whole "
                        f"transaction ({error}): let it use ABORT in place of ROLLBACK"
                    ) from error
                bad[part.index(drawn)] = _refusal(error, self._table, part.columns, rows[drawn])
                at = drawn + 1
            if is_alone:
                if connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] > 0:
                    bad[part.index(drawn)] = Refusal(
                        code="foreign_key_violation", message="a row it refers to does not exist"
                    )
                    connection.execute("ROLLBACK TO one_row")
                connection.execute("RELEASE one_row")

    def _sql(self, columns: Sequence[str]) -> str:
        names = ", ".join(map(quoted, columns))
        insert = f"INSERT INTO {self._table.quoted()} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        if self._on_conflict == "error":
            return insert
        target = f" ({', '.join(map(quoted, self._keys))})" if self._keys else ""
        rest = [quoted(each) for each in columns if each not in self._keys]
        if self._on_conflict == "ignore" or not rest:
            return f"{insert} ON CONFLICT{target} DO NOTHING"
        action = ", ".join(f"{each} = excluded.{each}" for each in rest)
        return f"{insert} ON CONFLICT{target} DO UPDATE SET {action}"

    def roll_back(self) -> None:
        """Roll back."""
        self._fetch("ROLLBACK")

    def settle(self, job: str, entry: Entry) -> bool:
        """Compare, swap and commit."""
        values = (job, entry.checkpoint.decode(), entry.epoch, entry.commits)
        is_ours = bool(self._fetch(statement("ledger_settle"), *values))
        self._fetch("COMMIT" if is_ours else "ROLLBACK")
        return is_ours

    def abandon(self) -> None:
        """Close the file, whatever is under way."""
        connection, self._raw = self._raw, None
        if connection is not None:
            connection.close(force=True)

    def _opened(self) -> apsw.Connection:
        if self._raw is None:
            raise RuntimeError(f"{self._path} is not open")
        return self._raw

    def _fetch(self, sql: str, *values: Any) -> list[Any]:
        try:
            with translated():
                return list(self._opened().execute(sql, values))
        except apsw.Error as error:
            raise SinkError(f"{self._shown}: {text_of(error)}; what was committed is safe") from error


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(identity=row[0].encode(), checkpoint=row[1].encode(), epoch=row[2], commits=row[3])


def _refusal(error: Exception, table: TableName, columns: Sequence[str], values: Sequence[Any]) -> Refusal:
    if isinstance(error, apsw.MismatchError):
        return Refusal(code="type_mismatch", message=f"the key of {table} must be an integer")
    if isinstance(error, apsw.TooBigError):
        return Refusal(code="too_big", message="a value, or the whole row, is too big for SQLite")
    if isinstance(error, apsw.ConstraintError):
        slug = slug_of_sqlite(getattr(error, "extendedresult", 0))
        return Refusal(code=slug or "constraint_violation", message=str(error))
    for name, value in zip(columns, values, strict=True):
        if is_too_large(value):
            return Refusal(code="number_out_of_range", message=f"{name} is an integer of more than 64 bits")
    return Refusal(code="type_mismatch", message=f"a text cannot be stored: {error}")
