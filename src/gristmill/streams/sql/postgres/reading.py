"""Queries and tables of PostgreSQL, read in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import asyncpg
import msgspec

from gristmill.databases.names import TableName, quoted
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.sql.address import Address
from gristmill.streams.sql.database import Away
from gristmill.streams.sql.postgres.connection import NOT_LET_IN, PostgresConnection
from gristmill.streams.sql.postgres.statements import statement

_COUNTED = 64 << 20
"""Bytes of a table whose rows are counted; of larger ones the server's estimate will do."""
_AS_TEXT = (
    "point", "line", "lseg", "box", "path", "polygon", "circle", "bit", "varbit", "inet", "cidr",
)  # fmt: skip
"""Types of which neither JSON nor a process beside this one knows what the driver makes of them."""
_OWN = ("array", "composite", "range", "multirange")
"""Kinds of types whose values may be of the driver's own types."""


class PostgresReading:
    """A query or a table; see ``Reading``.

    Args:
        address: Where the database is.
        query: What to read; None for *table*.
        table: What to read.
    """

    def __init__(self, address: Address, *, query: str | None, table: TableName | None) -> None:
        self.columns: Sequence[str] = ()
        self.has_keys = query is None
        self._shown = address.shown
        self._query = query
        self._table = table
        self._first = ""
        self._other = ""
        self._keys: list[int] = []
        self._own: list[int] = []
        self._connection = PostgresConnection(address.target)

    def open(self) -> int | None:
        """Connect, and look at the columns."""
        try:
            self._connection.connect()
            self._connection.run(self._set_codecs)
            return self._look_at_query() if self._query is not None else self._look_at_table()
        except NOT_LET_IN as error:
            raise ConfigurationError(f"{self._shown} does not let us in: {error}") from error
        except asyncpg.PostgresError as error:
            raise SourceError(f"{self._shown}: {error}") from error
        except Away as away:
            raise SourceError(
                f"{self._shown} cannot be reached: {away}; check that the server runs and the URL is right"
            ) from away

    async def _set_codecs(self) -> None:
        for name in ("json", "jsonb"):
            await self._connection.raw.set_type_codec(
                name, encoder=str, decoder=msgspec.json.decode, schema="pg_catalog"
            )
        for name in _AS_TEXT:
            await self._connection.raw.set_type_codec(
                name, encoder=str, decoder=str, schema="pg_catalog", format="text"
            )

    def _look_at_query(self) -> int | None:
        query = self._query or ""
        prepared = self._connection.run(lambda: self._connection.raw.prepare(query))
        self.columns = self._look_at(prepared.get_attributes())
        if prepared.get_parameters():
            raise ConfigurationError("the query has parameters ($1): write their values into it")
        plan = self._connection.fetch(f"EXPLAIN (FORMAT JSON) {query}")
        return int(plan[0][0][0]["Plan"]["Plan Rows"])

    def _look_at(self, attributes: Sequence[Any]) -> list[str]:
        """Return the names of the columns, and keep in mind which have values of the driver's own types."""
        self._own = [index for index, each in enumerate(attributes) if each.type.kind in _OWN]
        return [each.name for each in attributes]

    def _look_at_table(self) -> int | None:
        table = self._table or TableName(table="")
        rows = self._connection.fetch(statement("table_columns"), table.quoted())
        keys = sorted((int(row["place"]), index) for index, row in enumerate(rows) if row["is_key"])
        if not rows:
            raise ConfigurationError(f"there is no table {table} in {self._shown}")
        if not keys:
            raise ConfigurationError(
                f"the table {table} has no primary key to read it by; say the order with "  # noqa: S608 - advice
                f"--query 'SELECT * FROM {table.quoted()} ORDER BY ...'"
            )
        every = f"SELECT * FROM {table.quoted()}"  # noqa: S608 - a quoted name
        names = self._connection.run(lambda: self._connection.raw.prepare(every))
        self.columns = self._look_at(names.get_attributes())
        self._keys = [list(self.columns).index(rows[index]["name"]) for _, index in keys]
        key = ", ".join(quoted(self.columns[place]) for place in self._keys)
        after = ", ".join(
            f"${number + 2}::text::{rows[index]['type']}" for number, (_, index) in enumerate(keys)
        )
        self._first = f"{every} ORDER BY {key} LIMIT $1"
        self._other = f"{every} WHERE ({key}) > ({after}) ORDER BY {key} LIMIT $1"
        count = self._connection.fetch(statement("table_count"), table.quoted())[0]
        if count["bytes"] <= _COUNTED:
            return int(self._connection.fetch(f"SELECT count(*) FROM {table.quoted()}")[0][0])  # noqa: S608 - as above
        return None if count["rows"] < 0 else int(count["rows"])

    def feed(self, after: str | None) -> _Cursor | _Pages:
        """Return the rows."""
        if self._query is not None:
            return _Cursor(self._connection, self._query, self._shown, self._own)
        pages = _Pages(self._connection, self._first, self._other, self._keys, self._shown, own=self._own)
        pages.key = after
        return pages

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.abandon()


def _gone(shown: str, error: Exception) -> SourceError:
    return SourceError(f"{shown} broke off: {error}; run the same command again to go on")


class _Cursor:
    """The rows of a query, by a cursor in a transaction that sees one state."""

    def __init__(self, connection: PostgresConnection, query: str, shown: str, own: Sequence[int]) -> None:
        self.key: str | None = None
        self._own = own
        self._connection = connection
        self._shown = shown
        self._cursor = self._do(lambda: self._open(query))

    async def _open(self, query: str) -> Any:
        raw = self._connection.raw
        if raw.is_in_transaction():
            await raw.execute("ROLLBACK")
        await raw.transaction(isolation="repeatable_read", readonly=True).start()
        return await raw.cursor(query)

    def skip(self, count: int) -> None:
        if count:
            self._do(lambda: self._cursor.forward(count))

    def fetch(self, count: int) -> list[tuple[Any, ...]]:
        return _plain(self._do(lambda: self._cursor.fetch(count)), self._own)

    def _do(self, work: Any) -> Any:
        try:
            return self._connection.run(work)
        except (Away, asyncpg.PostgresError) as error:
            raise _gone(self._shown, error) from error


class _Pages:
    """The rows of a table, page by page after the last key."""

    def __init__(
        self,
        connection: PostgresConnection,
        first: str,
        other: str,
        keys: Sequence[int],
        shown: str,
        *,
        own: Sequence[int],
    ) -> None:
        self.key: str | None = None
        self._own = own
        self._connection = connection
        self._first = first
        self._other = other
        self._keys = keys
        self._shown = shown

    def skip(self, count: int) -> None:
        while count:
            rows = self.fetch(min(count, 1000))
            if not rows:
                return
            count -= len(rows)

    def fetch(self, count: int) -> list[tuple[Any, ...]]:
        try:
            if self.key is None:
                rows = self._connection.fetch(self._first, count)
            else:
                after = msgspec.json.decode(self.key, type=list[str])
                rows = self._connection.fetch(self._other, count, *after)
        except (Away, asyncpg.PostgresError) as error:
            raise _gone(self._shown, error) from error
        if rows:
            self.key = msgspec.json.encode([_text(rows[-1][place]) for place in self._keys]).decode()
        return _plain(rows, self._own)


def _plain(records: Sequence[Any], own: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return *records* as tuples that travel; the columns *own* without the driver's types."""
    if not own:
        return list(map(tuple, records))
    rows = [list(each) for each in records]
    for row in rows:
        for place in own:
            row[place] = _without_own(row[place])
    return list(map(tuple, rows))


def _without_own(value: Any) -> Any:
    """Return a composite value as a dict, and a range as PostgreSQL writes it."""
    if isinstance(value, asyncpg.Record):
        return {name: _without_own(part) for name, part in value.items()}
    if isinstance(value, asyncpg.Range):
        return _range_text(value)
    return [_without_own(part) for part in value] if isinstance(value, list) else value


def _range_text(found: asyncpg.Range) -> str:
    if found.isempty:
        return "empty"
    lower, upper = ("" if end is None else _text(end) for end in (found.lower, found.upper))
    return f"{'[' if found.lower_inc else '('}{lower},{upper}{']' if found.upper_inc else ')'}"


def _text(value: Any) -> str:
    """Return *value* as PostgreSQL reads it."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)
