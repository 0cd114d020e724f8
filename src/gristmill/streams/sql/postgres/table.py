"""A table of PostgreSQL as a sink has it: looked at, written by ``COPY``, committed with the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from gristmill.databases.names import TableName, quoted
from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.chunk import Refusal
from gristmill.streams.sql.address import Address
from gristmill.streams.sql.create_table import create_table
from gristmill.streams.sql.database import OnConflict
from gristmill.streams.sql.ledger import Entry
from gristmill.streams.sql.parts import Part, checked
from gristmill.streams.sql.postgres.connection import NOT_LET_IN, PostgresConnection
from gristmill.streams.sql.postgres.encoding import CopyRecipe
from gristmill.streams.sql.postgres.loading import Loader
from gristmill.streams.sql.postgres.statements import statement

_PATIENCE = "30s"
"""How long a claim waits for whoever holds the run's row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table.

    Attributes:
        kinds: name -> ``json``, ``array`` or nothing.
        keys: Those of the primary key, in its order.
    """

    kinds: Mapping[str, str]
    keys: tuple[str, ...]


class PostgresTable:
    """One table, over one connection; see ``Database``.

    Args:
        address: Where the database is.
        table: The table.
        result_type: Of the handler, for a table that is to be made.
        on_conflict: What becomes of a row whose key is there already.
        keys: The columns that tell it; none: the primary key.
        creates: Whether the table is made if it is not there.
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
        self.commit_seconds = 1.0
        self._shown = address.shown
        self._table = table
        self._result_type = result_type
        self._on_conflict = on_conflict
        self._keys = keys
        self._creates = creates
        self._connection = PostgresConnection(address.target)
        self._schema = ""
        self._columns = Columns(kinds={}, keys=())
        self._loader: Loader | None = None

    def connect(self) -> None:
        """Connect, if not connected."""
        try:
            self._connection.connect()
        except NOT_LET_IN as error:
            raise ConfigurationError(f"{self._shown} does not let us in: {error}") from error
        except asyncpg.PostgresError as error:
            raise SinkError(f"{self._shown} refused the connection: {error}") from error

    def prepare(self) -> None:
        """Look at the table, and make what is to be made."""
        proposed = create_table("postgresql", self._table, self._result_type, self._keys)
        found = self._look()
        if found is None and self._creates and proposed is not None:
            self._do(proposed.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
            found = self._look()
        if found is None:
            raise ConfigurationError(_missing(self._table, proposed, is_creating=self._creates))
        self._columns = found
        checked(self._result_type, found.kinds, str(self._table))
        self._make_ledger()
        self._loader = Loader(
            self._connection,
            self._table,
            list(found.kinds),
            self._on_conflict,
            self._conflict_keys(),
        )

    def _conflict_keys(self) -> tuple[str, ...]:
        keys = self._columns.keys if self._on_conflict == "update" and not self._keys else self._keys
        if self._on_conflict == "update" and not keys:
            raise ConfigurationError(
                f"the table {self._table} has no primary key: name columns that tell its rows "
                "apart, with --conflict-columns"
            )
        unknown = [each for each in self._keys if each not in self._columns.kinds]
        if unknown:
            raise ConfigurationError(
                f"--conflict-columns names {', '.join(unknown)}, and the table {self._table} has only "
                f"{', '.join(self._columns.kinds)}"
            )
        return keys

    def _look(self) -> Columns | None:
        place = self._do_fetch(statement("table_schema"), self._table.quoted())
        if not place:
            return None
        self._schema = quoted(place[0]["name"])
        rows = self._do_fetch(statement("table_columns"), self._table.quoted())
        keys = sorted((row for row in rows if row["is_key"]), key=lambda row: int(row["place"]))
        return Columns(
            kinds={row["name"]: _kind(row) for row in rows}, keys=tuple(row["name"] for row in keys)
        )

    def _make_ledger(self) -> None:
        schema = self._schema
        name = schema[1:-1].replace('""', '"')
        if self._do_fetch(statement("ledger_exists"), name)[0][0]:
            return
        self._do("BEGIN")
        self._do_fetch(statement("ledger_lock"), name)
        self._do(statement("ledger_create", schema))
        self._do("COMMIT")

    def recipe(self) -> CopyRecipe:
        """Return what encodes results."""
        return CopyRecipe(
            table=str(self._table),
            kinds=self._columns.kinds,
            is_order_kept=self._on_conflict != "error",
        )

    def entry(self, job: str) -> Entry | None:
        """Return what the ledger says."""
        rows = self._do_fetch(statement("ledger_read", self._schema), job)
        return _entry(rows[0]) if rows else None

    def claim(self, job: str, entry: Entry, *, reset: bool) -> Entry:
        """End the session that had the run, and take the next epoch."""
        with suppress(
            asyncpg.InsufficientPrivilegeError
        ):  # it is another user's; the wait for its lock has an end
            self._connection.fetch(statement("ledger_disconnect", self._schema), job)
        self._do(f"SET lock_timeout = '{_PATIENCE}'")
        rows = self._do_fetch(
            statement("ledger_claim", self._schema),
            job,
            entry.identity.decode(),
            entry.checkpoint.decode(),
            reset,
        )
        self._do("RESET lock_timeout")
        return _entry(rows[0])

    def begin(self) -> None:
        """Begin a transaction, in which every constraint is checked by the statement that may break it."""
        self._do("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET CONSTRAINTS ALL IMMEDIATE")

    def insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        """Write the rows of a chunk, or say which are bad."""
        if self._loader is None:
            raise RuntimeError(f"{self._shown} is not open")
        try:
            return self._loader.insert(parts, refused)
        except asyncpg.PostgresError as error:
            raise self._error(error) from error

    def roll_back(self) -> None:
        """Roll back."""
        self._do("ROLLBACK")

    def settle(self, job: str, entry: Entry) -> bool:
        """Compare, swap and commit."""
        tag = self._do(
            statement("ledger_settle", self._schema),
            job,
            entry.checkpoint.decode(),
            entry.epoch,
            entry.commits,
        )
        is_ours = tag == "UPDATE 1"
        self._do("COMMIT" if is_ours else "ROLLBACK")
        return is_ours

    def abandon(self) -> None:
        """Let go of the connection."""
        self._connection.abandon()

    def _do(self, sql: str, *values: Any) -> str:
        try:
            return self._connection.execute(sql, *values)
        except asyncpg.PostgresError as error:
            raise self._error(error) from error

    def _do_fetch(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection.fetch(sql, *values)
        except asyncpg.PostgresError as error:
            raise self._error(error) from error

    def _error(self, error: asyncpg.PostgresError) -> Exception:
        if isinstance(error, asyncpg.InsufficientPrivilegeError | asyncpg.ReadOnlySQLTransactionError):
            return ConfigurationError(
                f"{self._shown}: {error}; the user needs INSERT (and UPDATE, for --on-conflict update) on "
                f"{self._table}, and CREATE on its schema for the table gristmill_ledger"
            )
        if isinstance(error, asyncpg.DiskFullError):
            return SinkError(f"{self._shown}: its disk is full; what was committed is safe")
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
            return SinkError(f"{self._shown}: the table was changed while the run wrote to it: {error}")
        return SinkError(f"{self._shown} refused: {error}")


def _kind(row: Any) -> str:
    if row["base"] in ("json", "jsonb"):
        return "json"
    return "array" if row["category"] == "A" else ""


def _entry(row: Any) -> Entry:
    return Entry(
        identity=row["identity"].encode(),
        checkpoint=row["checkpoint"].encode(),
        epoch=row["epoch"],
        commits=row["commits"],
    )


def _missing(table: TableName, proposed: str | None, *, is_creating: bool) -> str:
    if proposed is not None:
        advice = "create it, or have it created with --create-table"
        return f"there is no table {table}; {advice}:\n\n{proposed};\n"
    if is_creating:
        return (
            f"there is no table {table}, and the handler does not say what its results are: annotate "
            "it as list[R], R being a Struct, dataclass, TypedDict or pydantic model, or create the table"
        )
    return f"there is no table {table}; create it first, with a column for each field of the results"
