"""One connection to MySQL or MariaDB: statements, the savepoint, and the rows of a group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import aiomysql
import msgspec

from gristmill.codec.results import encode_hook
from gristmill.databases.faults import RowRefused
from gristmill.databases.mysql import statements
from gristmill.databases.mysql.errors import EVERY, MySQLError, sorted_error
from gristmill.databases.operation import NOT_FOUND, Group, Stored, Work
from gristmill.databases.rows import as_scalar
from gristmill.databases.settings import PoolCounts
from gristmill.databases.slugs import refusal
from gristmill.errors import ConfigurationError

LARGEST = (16 << 20) - 1024
"""Bytes of a statement that MariaDB takes as it comes; MySQL takes more."""

_POINT = "gristmill_rows"
_TAKEN = (type(None), bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal)
_JSON = msgspec.json.Encoder(enc_hook=encode_hook)


class Session:
    """Statements on a connection, counted, with their errors sorted.

    Args:
        connection: Of aiomysql.
        counts: To count round trips in.
        timeout: Seconds for one statement; None: those of the caller's own connection.
        largest: Bytes of one statement.
    """

    def __init__(
        self, connection: Any, counts: PoolCounts, *, timeout: float | None = None, largest: int = LARGEST
    ) -> None:
        self.connection = connection
        self._counts = counts
        self._timeout = timeout
        self._largest = largest

    @property
    def is_in_transaction(self) -> bool:
        """Whether one is open, or begins with the next statement."""
        return bool(self.connection.get_transaction_status() or not self.connection.get_autocommit())

    @property
    def returns(self) -> bool:
        """Whether the server has RETURNING."""
        return "MariaDB" in self.connection.get_server_info()

    async def fetch(self, sql: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows.

        The server hangs up on a statement that is larger than it takes, so that is refused here.
        """
        try:
            async with self.connection.cursor(_Quiet) as cursor, asyncio.timeout(self._timeout):
                text = sql if values is None else _written(self.connection, sql, values)
                if (len(text) if text.isascii() else len(text.encode())) > self._largest:
                    raise RowRefused(refusal("too_big"), is_sent=False)
                self._counts.round_trips += 1
                await cursor.execute(text)
                return list(await cursor.fetchall())
        except EVERY as error:
            raise sorted_error(error) from error
        except UnicodeError as error:
            raise RowRefused(refusal("type_mismatch"), is_sent=False) from error

    async def savepoint(self) -> None:
        """Set the savepoint."""
        await self.fetch(f"SAVEPOINT {_POINT}")

    async def roll_back_to(self) -> None:
        """Undo what was done since; it stays set."""
        await self.fetch(f"ROLLBACK TO SAVEPOINT {_POINT}")

    async def renew(self) -> None:
        """Keep what was done since, and set it anew: one of the same name replaces it."""
        await self.fetch(f"SAVEPOINT {_POINT}")

    async def release(self) -> None:
        """Keep what was done since, and give it up."""
        await self.fetch(f"RELEASE SAVEPOINT {_POINT}")


class Filling:
    """Writes the rows of one group, any stretch of them; see ``Attempt``."""

    def __init__(self, session: Session, work: Work, group: Group) -> None:
        self._session = session
        self._table = work.table
        self._operation = work.operation
        self._columns = group.columns
        self._rows = list(zip(*group.values, strict=True)) if group.values else [()] * len(group.indices)
        self._key = [group.columns.index(name) for name in work.operation.key if name in group.columns]
        self.count = len(group.indices)

    async def __call__(self, start: int, stop: int) -> Sequence[Stored]:
        """Write rows ``start:stop``."""
        rows = [tuple(map(adapted, row)) for row in self._rows[start:stop]]
        if self._operation.pairs_by_number:
            return await self._by_key(rows)
        operation, returns = self._operation, self._session.returns
        if operation.returning and operation.kind == "insert" and not returns:
            raise ConfigurationError("MySQL has no RETURNING: leave returning out, or use MariaDB")
        sql = statements.insertion(operation, self._table, self._columns, len(rows), returns=returns)
        found = await self._session.fetch(sql, list(chain.from_iterable(rows)))
        if not operation.returning:
            return [None] * len(rows)
        return found if returns else await self._looked_up(rows)

    async def _by_key(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Stored]:
        operation = self._operation
        there = await self._found(rows, operation.returning if operation.kind == "delete" else (), locks=True)
        known = [row for row in rows if self._key_of(row) in there]
        if known and operation.kind == "delete":
            sql = statements.deletion(operation, self._table, len(known))
            await self._session.fetch(sql, self._keys(known))
        elif known:
            sql = statements.update(operation, self._table, self._columns, len(known))
            changed = [self._columns.index(name) for name in operation.updated(self._columns)]
            pairs = [(*self._key_of(row), row[place]) for place in changed for row in known]
            await self._session.fetch(sql, [*chain.from_iterable(pairs), *self._keys(known)])
            if operation.returning:
                there = await self._found(known, operation.returning)
        answers = bool(operation.returning)
        found = [there.get(self._key_of(row)) for row in rows]
        return [NOT_FOUND if each is None else each if answers else None for each in found]

    async def _looked_up(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[Stored]:
        there = await self._found(rows, self._operation.returning)
        found: list[Stored] = [there.get(self._key_of(row), NOT_FOUND) for row in rows]
        others = [place for place, each in enumerate(found) if each is NOT_FOUND]
        if others:  # stored in another form than they came in
            key, returning = self._operation.key, self._operation.returning
            sql = statements.selection_of_each(self._table, returning, key, len(others))
            for number, *values in await self._session.fetch(
                sql, self._keys([rows[place] for place in others])
            ):
                found[others[number]] = values
        return found

    async def _found(
        self, rows: Sequence[tuple[Any, ...]], columns: Sequence[str], *, locks: bool = False
    ) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        key = self._operation.key
        sql = statements.selection(self._table, columns, key, len(rows), locks=locks)
        found = await self._session.fetch(sql, self._keys(rows))
        return {tuple(row[: len(key)]): tuple(row[len(key) :]) for row in found}

    def _key_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[place] for place in self._key)

    def _keys(self, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [value for row in rows for value in self._key_of(row)]


class _Quiet(aiomysql.Cursor):  # type: ignore[misc]  # aiomysql has no types
    """A cursor that does not fetch the server's warnings, at a round trip each time, to print them."""

    async def _show_warnings(self, _: Any) -> None:
        pass


def _written(connection: Any, sql: str, values: Sequence[Any]) -> str:
    """Return *sql* with *values* in it; nothing is sent yet, so what the driver refuses is a value.

    Raises:
        RowRefused: It cannot write one: a float that is no number, a text that is no Unicode.
    """
    try:
        return sql % tuple(_literal(connection, value) for value in values)
    except (MySQLError, TypeError, ValueError) as error:
        raise RowRefused(refusal("type_mismatch"), is_sent=False) from error


def _literal(connection: Any, value: Any) -> str:
    if isinstance(value, bytes):  # which not every pair of releases of aiomysql and PyMySQL writes
        return f"_binary X'{value.hex()}'"
    text: str = connection.escape(value)
    return text


def adapted(value: Any) -> Any:
    """Return *value* as the driver takes it: dicts and lists as JSON, UUIDs and Enums as text, times in UTC.

    Raises:
        RowRefused: It cannot be stored.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:  # whose offset the driver would leave out
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, _TAKEN):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    try:
        return _JSON.encode(value).decode() if isinstance(value, dict | list) else as_scalar(value)
    except Exception as error:
        raise RowRefused(refusal("type_mismatch"), is_sent=False) from error
