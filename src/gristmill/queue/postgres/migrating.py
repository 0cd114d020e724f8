"""Bringing the schema up to date, and refusing servers that would lose jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.errors import StoreMisconfigured, StoreReadOnly, StoreVersion
from gristmill.queue.postgres.connections import LONG, Connections, close_connection
from gristmill.queue.postgres.failures import translated
from gristmill.queue.postgres.statements import migrations

OLDEST = 140000
"""The oldest server, as ``server_version_num`` writes it, that has all that the statements use."""

_IS_THERE = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migration')"


async def prepare(connections: Connections) -> str:
    """Check the server and migrate the schema; return what a job survives once it is enqueued, in words."""
    durability = durability_of(await connections.row("settings"))
    connection = await connections.connect()
    try:
        with translated():
            await migrate(connection, connections.address.schema)
    finally:
        await close_connection(connection)
    return durability


async def migrate(connection: Any, schema: str) -> None:
    """Run what *schema* has not had yet, in one transaction; several processes may do so at once.

    Raises:
        StoreVersion: It has had more than we know.
    """
    if await _version(connection, schema) == len(migrations(schema)):
        return  # and no right to create anything is needed
    async with connection.transaction():
        # Of the transaction, not of the session: PgBouncer may be in between.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
            f"gristmill schema {schema}",
            timeout=LONG,
        )
        version = await _version(connection, schema)
        if version is None:
            version = 0
            await connection.execute(
                f"CREATE SCHEMA IF NOT EXISTS {schema};"
                f"CREATE TABLE {schema}.migration"
                " (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
            )
        for text in migrations(schema)[version:]:
            version += 1
            await connection.execute(text, timeout=LONG)
            await connection.execute(f"INSERT INTO {schema}.migration (version) VALUES ($1)", version)  # noqa: S608 - a name that was validated


async def _version(connection: Any, schema: str) -> int | None:
    # Not by to_regclass: within a transaction it may answer from before the lock was ours.
    if not await connection.fetchval(_IS_THERE, schema):
        return None
    version: int = await connection.fetchval(f"SELECT coalesce(max(version), 0) FROM {schema}.migration")  # noqa: S608 - as above
    known = len(migrations(schema))
    if version > known:
        raise StoreVersion(
            f"the schema {schema} is of version {version}, and this Gristmill knows {known}: upgrade it"
        )
    return version


def durability_of(settings: Mapping[str, Any]) -> str:
    """Return in words what a job survives, by the settings of the server and of our session.

    Raises:
        StoreMisconfigured: It could be lost; the message says what to change.
        StoreReadOnly: Nothing can be written.
    """
    if settings["version"] < OLDEST:
        raise StoreMisconfigured(f"PostgreSQL 14 or newer is needed, not {settings['version'] // 10000}")
    if settings["is_read_only"]:
        raise StoreReadOnly(
            "this PostgreSQL takes no writes: a standby, or set so; point the URL at the primary"
        )
    for name in ("fsync", "full_page_writes"):
        if not settings[name]:
            raise StoreMisconfigured(
                f"{name} is off: a crash loses or corrupts jobs; turn it on in postgresql.conf"
            )
    commit = settings["synchronous_commit"]
    if commit == "off":
        raise StoreMisconfigured(
            "synchronous_commit is off: a crash loses jobs that were acknowledged; set it to on "
            "for this database: ALTER DATABASE ... SET synchronous_commit = on"
        )
    if settings["isolation"] != "read committed":
        raise StoreMisconfigured(
            "default_transaction_isolation must be read committed for the queue's user: "
            "ALTER ROLE ... SET default_transaction_isolation = 'read committed'"
        )
    if settings["encoding"] != "UTF8":
        raise StoreMisconfigured(f"the database must be encoded as UTF8, not {settings['encoding']}")
    if settings["standbys"] and commit != "local":
        return f"fsync on commit, and synchronous_commit={commit} on standbys"
    return "fsync on commit"
