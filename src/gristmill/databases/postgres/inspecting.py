"""What PostgreSQL's catalogue says of a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from gristmill.databases.fitting import value_type
from gristmill.databases.names import TableName
from gristmill.databases.table import Column, Family, Table, no_such_table

_TABLE = """
SELECT c.oid, c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT row_security_active(c.oid) AS takes_copy,
       c.relhasrules OR c.relkind <> 'r' OR EXISTS (
         SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype::int & 3 = 3
       ) AS may_ignore,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.condeferred) AS has_deferred
FROM pg_class AS c
WHERE c.oid = to_regclass($1)::oid
"""
_COLUMNS = """
SELECT a.attname AS name,
       format_type(b.oid, -1) AS type,
       b.typcategory::text AS category,
       b.typtype::text AS kind,
       b.typnamespace = 'pg_catalog'::regnamespace AS is_builtin,
       a.attgenerated <> '' OR a.attidentity = 'a' AS is_generated,
       array_position(i.indkey::int2[], a.attnum) AS place,
       COALESCE(l.collisdeterministic, true) AS is_deterministic
FROM pg_attribute AS a
JOIN LATERAL (
  WITH RECURSIVE under AS (  -- a domain may be one over another domain
    SELECT t.* FROM pg_type AS t WHERE t.oid = a.atttypid
    UNION ALL
    SELECT t.* FROM under JOIN pg_type AS t ON t.oid = under.typbasetype WHERE under.typtype = 'd'
  )
  SELECT * FROM under WHERE typtype <> 'd'
) AS b ON true
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_OF_PARTS = ("c", "m")  # composite types and multiranges
_OF_POINTS = ("path", "polygon")
_TIMES = ("date", "timestamp", "time")
_EXACT = ("smallint", "integer", "bigint", "text", "character varying", "boolean", "bytea", "date")
_VALUES: dict[type, tuple[str, ...]] = {
    int: ("smallint", "integer", "bigint"),
    bool: ("boolean",),
    float: ("real", "double precision"),
    Decimal: ("numeric",),
    str: ("text", "character varying", "bpchar", "character"),
    bytes: ("bytea",),
    UUID: ("uuid",),
    date: ("date",),
    datetime: ("timestamp without time zone", "timestamp with time zone"),
    time: ("time without time zone", "time with time zone"),
    timedelta: ("interval",),
}


async def inspect(connection: asyncpg.Connection, name: TableName, *, is_own: bool) -> Table:
    """Return what the catalogue says of the table *name*.

    Args:
        connection: To ask.
        name: Of the table.
        is_own: Whether the connection's codecs are known to be the driver's own.

    Raises:
        ConfigurationError: There is none.
    """
    found = await connection.fetchrow(_TABLE, name.quoted())
    if found is None:
        raise no_such_table(name)
    rows = await connection.fetch(_COLUMNS, found["oid"])
    columns = {row["name"]: column_of(row, is_own=is_own) for row in rows}
    key = sorted((row["place"], row["name"]) for row in rows if row["place"] is not None)
    return Table(
        name=name,
        columns=columns,
        key=tuple(each for _, each in key),
        takes_copy=found["takes_copy"],
        has_deferred=found["has_deferred"],
        may_ignore=found["may_ignore"],
    )


def column_of(row: Mapping[str, Any], *, is_own: bool) -> Column:
    """Return the column that a row of the catalogue tells of; see ``inspect``."""
    return Column(
        name=row["name"],
        type=row["type"],
        family=_family(row),
        is_generated=row["is_generated"],
        values=value_type(_VALUES, row["type"]) if is_own else None,
        is_exact=row["type"] in _EXACT and row["is_deterministic"],
    )


def _family(row: Any) -> Family:
    if row["type"] in ("json", "jsonb"):
        return Family.JSON
    if row["category"] == "A" or row["kind"] in _OF_PARTS or row["type"] in _OF_POINTS:
        return Family.ARRAY
    if (
        row["category"] == "U" and not row["is_builtin"]
    ):  # of an extension: a codec may take lists, as pgvector's
        return Family.ARRAY
    if row["category"] == "S" or row["kind"] == "e":
        return Family.TEXT
    if row["type"].split(" ")[0] in _TIMES:
        return Family.TIME
    return Family.OTHER
