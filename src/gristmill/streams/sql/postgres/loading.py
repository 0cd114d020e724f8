"""Rows into a table by ``COPY``; those that the server does not take are found, all of them.

The error of a ``COPY`` names the line it is about in most cases; where it
does not (a foreign key is checked after the last line), the rows are halved.
A bad row costs some statements, not one for each of its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from gristmill.databases.names import TableName, quoted
from gristmill.databases.slugs import slug_of_sqlstate
from gristmill.streams.chunk import Refusal
from gristmill.streams.sql.database import OnConflict
from gristmill.streams.sql.parts import Part
from gristmill.streams.sql.postgres.connection import PostgresConnection
from gristmill.streams.sql.postgres.encoding import NULL, records

_LINE = re.compile(r"^COPY .*?, line (\d+)", re.MULTILINE)


def refusal_of(error: asyncpg.PostgresError) -> Refusal | None:
    """Return why a row is refused, by the code a ``BulkWriter`` has for it; None if no row is at fault."""
    slug = slug_of_sqlstate(error.sqlstate or "")
    if slug is None:
        return None
    detail = getattr(error, "detail", None)
    message = getattr(error, "message", None) or str(error)
    return Refusal(code=slug, message=f"{message}: {detail}" if detail else message)


class Loader:
    """Writes parts of chunks into one table, in the transaction of the connection.

    Args:
        connection: Connected.
        table: The table.
        columns: All that can be written.
        on_conflict: What becomes of a row whose key is there already.
        keys: The columns that tell it.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        table: TableName,
        columns: Sequence[str],
        on_conflict: OnConflict,
        keys: Sequence[str],
    ) -> None:
        self._connection = connection
        self._table = table
        self._places = {name: place for place, name in enumerate(columns)}
        self._on_conflict = on_conflict
        self._keys = keys

    def insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        """Write *parts* without the *refused* rows; see ``Database.insert``."""
        return self._connection.run(lambda: self._insert(parts, refused))

    async def _insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        await self._execute("SAVEPOINT chunk")
        bad: dict[int, Refusal] = {}
        for part in parts:
            kept: list[int] | None = None
            data: bytes = part.data
            if refused:
                rows = records(data)
                kept = [row for row in range(part.count) if part.index(row) not in refused]
                data = b"".join(rows[row] for row in kept)
            if not data:
                continue
            if not bad and await self._takes(part, data):
                continue
            found = await self._bad_rows(part, records(data))
            bad.update(
                (part.index(row if kept is None else kept[row]), refusal) for row, refusal in found.items()
            )
        await self._execute("ROLLBACK TO chunk; RELEASE chunk" if bad else "RELEASE chunk")
        return bad

    async def _takes(self, part: Part, data: bytes) -> bool:
        return await self._try(part, data) is None

    async def _try(self, part: Part, data: bytes) -> asyncpg.PostgresError | None:
        """Write rows; return the error if one of them is at fault, nothing being written then."""
        await self._execute("SAVEPOINT rows")
        try:
            await self._write(part, data)
        except asyncpg.PostgresError as error:
            if refusal_of(error) is None:
                raise
            await self._execute("ROLLBACK TO rows; RELEASE rows")
            return error
        await self._execute("RELEASE rows")
        return None

    async def _bad_rows(self, part: Part, rows: Sequence[bytes]) -> dict[int, Refusal]:
        """Write the good ones of *rows*, and return why the others are bad, by row.

        Goes on from row to row with as many at once as went well: twice as
        many after each success, none beyond the row that an error names.
        """
        bad: dict[int, Refusal] = {}
        at, step = 0, len(rows)
        while at < len(rows):
            count = min(step, len(rows) - at)
            error = await self._try(part, b"".join(rows[at : at + count]))
            if error is None:
                at += count
                step = 2 * count
                continue
            line = _row_of(error, rows[at : at + count])
            refusal = refusal_of(error)
            if refusal is not None and (line == 0 or count == 1):
                bad[at] = refusal
                at += 1
                step = max(1, count // 2)
            else:
                step = line or count // 2
        return bad

    async def _write(self, part: Part, data: bytes) -> None:
        if self._on_conflict == "error":
            await self._copy(part.columns, data, self._table.table, self._table.schema)
            return
        staging = await self._staging(part)
        await self._copy(part.columns, data, staging, None)
        await self._execute(self._merge(part, staging))
        await self._execute(f"TRUNCATE {quoted(staging)}")

    async def _copy(self, columns: Sequence[str], data: bytes, table: str, schema: str | None) -> None:
        await self._connection.raw.copy_to_table(
            table,
            schema_name=schema,
            columns=columns,
            source=memoryview(data),
            format="csv",
            null=NULL,
            encoding="utf-8",
        )

    async def _staging(self, part: Part) -> str:
        """Make the table of this transaction that takes rows of these columns first; return its name."""
        name = "gristmill_" + "_".join(str(self._places[each]) for each in part.columns)
        name = name if len(name) < 64 else f"gristmill_{hash(part.columns) & 0xFFFFFFFFFFFF}"  # noqa: PLR2004 - longest
        columns = ", ".join(map(quoted, part.columns))
        await self._execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {quoted(name)} ON COMMIT DROP AS "  # noqa: S608 - quoted names
            f"SELECT {columns} FROM {self._table.quoted()} WITH NO DATA"
        )
        return name

    def _merge(self, part: Part, staging: str) -> str:
        """Return the statement that moves the staged rows; of several with one key the last one counts."""
        columns = ", ".join(map(quoted, part.columns))
        insert = f"INSERT INTO {self._table.quoted()} ({columns})"
        if self._on_conflict == "ignore":
            target = f" ({', '.join(map(quoted, self._keys))})" if self._keys else ""
            source = f"SELECT {columns} FROM {quoted(staging)} ORDER BY ctid"  # noqa: S608 - quoted names
            return f"{insert} {source} ON CONFLICT{target} DO NOTHING"
        keys = [quoted(each) for each in self._keys]
        rest = [quoted(each) for each in part.columns if each not in self._keys]
        action = (
            f"DO UPDATE SET {', '.join(f'{each} = excluded.{each}' for each in rest)}"
            if rest
            else "DO NOTHING"
        )
        if not set(self._keys) <= set(part.columns):  # then the default makes the key, or none is there
            source = f"SELECT {columns} FROM {quoted(staging)} ORDER BY ctid"  # noqa: S608 - quoted names
        else:
            alone = f"CASE WHEN {' OR '.join(f'{each} IS NULL' for each in keys)} THEN ctid END"
            order = ", ".join([*keys, alone])
            source = (
                f"SELECT DISTINCT ON ({order}) {columns} FROM {quoted(staging)} ORDER BY {order}, ctid DESC"  # noqa: S608
            )
        return f"{insert} {source} ON CONFLICT ({', '.join(keys)}) {action}"

    async def _execute(self, sql: str) -> Any:
        return await self._connection.raw.execute(sql)


def _row_of(error: asyncpg.PostgresError, rows: Sequence[bytes]) -> int | None:
    """Return which of *rows* the context of *error* names; None if it names none."""
    found = _LINE.search(getattr(error, "context", None) or "")
    if found is None:
        return None
    line = int(found.group(1))
    for index, row in enumerate(rows):
        line -= row.count(b"\n")
        if line <= 0:
            return index
    return None
