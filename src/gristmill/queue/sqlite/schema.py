"""Brings the schema of the file up to date."""

from __future__ import annotations

from pathlib import Path

import apsw

from gristmill.errors import StoreVersion
from gristmill.queue.sqlite.statements import migrations, statement

_EXISTS = statement("schema_exists")
_VERSION = statement("schema_version")
_NOTE = statement("schema_note")


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Apply the migrations that *path* lacks; of several processes at once, one does it.

    Raises:
        StoreVersion: Its schema is newer than this Gristmill knows.
    """
    scripts = migrations()
    if _version(connection) == len(scripts):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, scripts, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: apsw.Connection, scripts: list[str], path: Path) -> None:
    version = _version(connection)  # again: another process may have been faster
    if version > len(scripts):
        raise StoreVersion(
            f"a newer Gristmill wrote {path}: its schema is {version}, and this one knows {len(scripts)}; "
            "upgrade Gristmill here too"
        )
    for script in scripts[version:]:
        connection.execute(script)
    connection.execute(_NOTE, (len(scripts),))


def _version(connection: apsw.Connection) -> int:
    if not connection.execute(_EXISTS).get:
        return 0
    version: int = connection.execute(_VERSION).fetchall()[0][0]  # type: ignore[assignment]  # an INTEGER column
    return version
