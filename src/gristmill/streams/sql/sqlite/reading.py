"""Queries and tables of SQLite, read in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import msgspec

from gristmill.databases.names import TableName, quoted
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.sql.address import Address
from gristmill.streams.sql.database import Away
from gristmill.streams.sql.sqlite.connection import open_file, text_of, translated
from gristmill.streams.sql.sqlite.statements import statement

_ROW_IDS = ("rowid", "_rowid_", "oid")


class SqliteReading:
    """A query or a table; see ``Reading``.

    A table is read by its rowid, or by its primary key if it has none.

    Args:
        address: Where the file is.
        query: What to read; None for *table*.
        table: What to read.
    """

    def __init__(self, address: Address, *, query: str | None, table: TableName | None) -> None:
        self.columns: Sequence[str] = ()
        self.has_keys = query is None
        self._path = address.target
        self._query = query
        self._table = table
        self._keys: tuple[str, ...] = ()
        self._raw: apsw.Connection | None = None

    def open(self) -> int | None:
        """Open the file, and look at the columns."""
        if not Path(self._path).is_file():
            raise SourceError(f"there is no database {self._path}")
        try:
            with translated():
                self._raw = open_file(self._path, is_written=False)
                return self._look_at_query() if self._query is not None else self._look_at_table()
        except apsw.Error as error:
            raise SourceError(f"{self._path}: {text_of(error)}") from error
        except Away as away:
            raise SourceError(f"{self._path}: {away}") from away

    def _look_at_query(self) -> int | None:
        cursor = self._opened().cursor()
        names: list[str] = []

        def note(cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
            names.extend(name for name, *_ in cursor.get_description())
            return False  # do not run it

        cursor.exec_trace = note
        with suppress(apsw.ExecTraceAbort):
            cursor.execute(self._query or "")
        self.columns = names
        if not names:
            raise ConfigurationError("the query gives no rows: it must be a SELECT")
        return None

    def _look_at_table(self) -> int | None:
        table = self._table or TableName(table="")
        connection = self._opened()
        listed: Any = connection.execute(statement("table_columns"), (table.table,))
        found = [(str(name), int(place)) for name, place in listed]
        if not found:
            raise ConfigurationError(f"there is no table {table} in {self._path}")
        every = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1"  # generated ones are read too
        self.columns = [str(name) for (name,) in connection.execute(every, (table.table,))]
        is_without_rowid = list(
            connection.execute("SELECT 1 FROM pragma_table_list WHERE name = ? AND wr", (table.table,))
        )
        if is_without_rowid:
            self._keys = tuple(name for _, name in sorted((place, name) for name, place in found if place))
        else:
            taken = {each.lower() for each in self.columns}
            self._keys = tuple(each for each in _ROW_IDS if each not in taken)[:1]
        if not self._keys:
            raise ConfigurationError(
                f"the table {table} has nothing to read it by; say the order with "  # noqa: S608 - advice
                f"--query 'SELECT * FROM {table.quoted()} ORDER BY ...'"
            )
        count = connection.execute(f"SELECT count(*) FROM {table.quoted()}").fetchall()  # noqa: S608 - a quoted name
        return int(str(count[0][0]))

    def _opened(self) -> apsw.Connection:
        if self._raw is None:
            raise RuntimeError(f"{self._path} is not open")
        return self._raw

    def feed(self, after: str | None) -> _Cursor | _Pages:
        """Return the rows."""
        if self._query is not None:
            return _Cursor(self._opened(), self._query, self._path)
        table = self._table or TableName(table="")
        pages = _Pages(self._opened(), table, self.columns, self._keys, self._path)
        pages.key = after
        return pages

    def close(self) -> None:
        """Close the file."""
        connection, self._raw = self._raw, None
        if connection is not None:
            connection.close(force=True)


class _Cursor:
    """The rows of a query, in the transaction of one statement."""

    def __init__(self, connection: apsw.Connection, query: str, path: str) -> None:
        self.key: str | None = None
        self._path = path
        with _readable(path):
            self._cursor = connection.execute(query)

    def skip(self, count: int) -> None:
        for _ in range(0, count, 1000):
            self.fetch(min(count, 1000))
            count -= 1000

    def fetch(self, count: int) -> list[tuple[Any, ...]]:
        with _readable(self._path):
            return list(islice(self._cursor, count))


class _Pages:
    """The rows of a table, page by page after the last key."""

    def __init__(
        self,
        connection: apsw.Connection,
        table: TableName,
        columns: Sequence[str],
        keys: Sequence[str],
        path: str,
    ) -> None:
        self.key: str | None = None
        self._connection = connection
        self._path = path
        self._width = len(columns)
        key = ", ".join(map(quoted, keys))
        names = ", ".join([*map(quoted, columns), key])
        self._first = f"SELECT {names} FROM {table.quoted()} ORDER BY {key} LIMIT ?"  # noqa: S608 - quoted names
        where = f"WHERE ({key}) > ({', '.join('?' * len(keys))})"
        self._other = f"SELECT {names} FROM {table.quoted()} {where} ORDER BY {key} LIMIT ?"  # noqa: S608 - as above

    def skip(self, count: int) -> None:
        while count > 0 and (rows := self.fetch(min(count, 1000))):
            count -= len(rows)

    def fetch(self, count: int) -> list[tuple[Any, ...]]:
        after = () if self.key is None else map(_loaded, msgspec.json.decode(self.key))
        sql = self._first if self.key is None else self._other
        with _readable(self._path):
            rows = self._connection.execute(sql, (*after, count)).fetchall()
        if rows:
            self.key = msgspec.json.encode([_dumped(each) for each in rows[-1][self._width :]]).decode()
        return [row[: self._width] for row in rows]


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except apsw.ReadOnlyError as error:
        raise SourceError("the query writes to the database: only a SELECT can be an input") from error
    except apsw.Error as error:
        raise SourceError(
            f"{path} broke off: {text_of(error)}; run the same command again to go on"
        ) from error


def _dumped(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _loaded(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
