"""From URLs to sources and sinks over databases, each imported only when a URL names it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from gristmill.databases.names import TableName, table_name
from gristmill.errors import ConfigurationError
from gristmill.streams.sinks.sql import SqlSink
from gristmill.streams.sources.sql import SqlSource
from gristmill.streams.sql.address import Address, Kind, address_of
from gristmill.streams.sql.database import Database, OnConflict
from gristmill.streams.sql.reading import Reading

_MODULES: dict[Kind, tuple[str, str, str, str]] = {
    "postgresql": ("gristmill.streams.sql.postgres", "PostgresTable", "PostgresReading", "postgres"),
    "sqlite": ("gristmill.streams.sql.sqlite", "SqliteTable", "SqliteReading", "sqlite"),
}


def sql_source(url: str, *, query: str | None = None, table: str | None = None) -> SqlSource:
    """Return the rows of a query, or of a table in the order of its key.

    Args:
        url: Of the database; it may name the table after a ``#``.
        query: One SELECT; ``@file.sql`` is the content of a file.
        table: The table, in place of ``#``.

    Raises:
        ConfigurationError: Not one of both is given, or the URL is none.
    """
    address = address_of(url)
    chosen = table_name(table) if table is not None else address.table
    if (query is None) == (chosen is None):
        raise ConfigurationError(
            f"say what to read of {address.shown}: --query 'SELECT ... ORDER BY ...', or --table people"
            if query is None
            else "give a query or a table, not both"
        )
    text = None if query is None else _text_of(query)
    kind: Any = _loaded(address.kind, "reading", 2)
    reading: Reading = kind(address, query=text, table=chosen)
    name = address.shown if chosen is None else f"{address.shown}#{chosen}"
    return SqlSource(reading, name, text)


def _text_of(query: str) -> str:
    if not query.startswith("@"):
        text = query
    else:
        try:
            text = Path(query[1:]).read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"the query cannot be read from {query[1:]}: {error}") from error
    text = text.strip().rstrip(";").rstrip()
    if not text:
        raise ConfigurationError("the query is empty")
    return text


def sql_sink(
    url: str,
    *,
    result_type: Any = Any,
    on_conflict: OnConflict = "error",
    conflict_columns: tuple[str, ...] = (),
    create_table: bool = False,
    deadline: float = 300.0,
) -> SqlSink:
    """Return the table that *url* names after its ``#`` as a sink.

    Args:
        url: Of the database and the table: ``postgresql://user@host/db#people``.
        result_type: Of the handler, for the columns of a table that is to be made.
        on_conflict: What becomes of a row whose key is in the table: ``error`` (it goes to the dead letters),
            ``ignore`` (it is left out) or ``update`` (it replaces the values there).
        conflict_columns: The columns of that key; none: the primary key, or any unique one for ``ignore``.
        create_table: Whether the table is made if it is not there.
        deadline: Seconds to try again while the database is away.

    Raises:
        ConfigurationError: The URL names no table, or is none.
    """
    address: Address = address_of(url)
    table: TableName | None = address.table
    if table is None:
        raise ConfigurationError(f"name the table to write to after a #, as in '{address.shown}#people'")
    if on_conflict not in ("error", "ignore", "update"):
        raise ConfigurationError(f"on_conflict is error, ignore or update, not {on_conflict!r}")
    kind: Any = _loaded(address.kind, "table", 1)
    database: Database = kind(
        address, table, result_type, on_conflict, tuple(conflict_columns), creates=create_table
    )
    return SqlSink(
        database,
        f"{address.shown}#{table}",
        table,
        options={"on conflict": on_conflict, "conflict columns": list(conflict_columns)},
        deadline=deadline,
    )


def _loaded(kind: Kind, module: str, place: int) -> Any:
    package, *_, extra = _MODULES[kind]
    try:
        return getattr(importlib.import_module(f"{package}.{module}"), _MODULES[kind][place])
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{kind} needs the package {error.name}: pip install 'gristmill[{extra}]'"
        ) from error
