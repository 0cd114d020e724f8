"""A pool of connections that several writers and loaders share."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from gristmill.databases.backend import Backend, backend_of
from gristmill.databases.settings import PoolSettings
from gristmill.model.pool import PoolStats


class Pool:
    """Connections to one database, made when they are needed and kept for a while.

    It may be made before there is an event loop; each loop that uses it has
    connections of its own. A connection that broke is replaced, and so are
    those that were idle then: after a restart of the server the first caller
    may wait for a new one, and nobody gets a dead one twice.

    Args:
        url: ``postgresql://user@host/db``, ``mysql://...``, ``sqlite:///file.db``.
            SQLite has one connection, in a thread of its own.
        size: Most connections at a time.
        idle: Seconds after which an unused connection is closed.
        acquire_timeout: Seconds a caller waits for a connection; then ``PoolTimeout``.
        connect_timeout: Seconds for a connection to come about.
        command_timeout: Seconds for one statement; then the connection is given up.
        name: The label of its metrics; the URL's scheme if left out.

    Raises:
        ConfigurationError: An option cannot work, or the driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 20,
        idle: float = 30.0,
        acquire_timeout: float = 2.0,
        connect_timeout: float = 5.0,
        command_timeout: float = 30.0,
        name: str | None = None,
    ) -> None:
        settings = PoolSettings(
            size=size,
            idle=idle,
            acquire_timeout=acquire_timeout,
            connect_timeout=connect_timeout,
            command_timeout=command_timeout,
        )
        self.backend: Backend = backend_of(url, settings, name)

    def stats(self) -> PoolStats:
        """Return how it stands; for ``gristmill.telemetry.pools.register``."""
        return self.backend.stats()

    async def aclose(self) -> None:
        """Let statements under way end, and close all connections of this event loop. Idempotent."""
        await self.backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def backend_for(target: Any, settings: PoolSettings | None = None) -> tuple[Backend, bool]:
    """Return the backend of *target*, and whether whoever asks has to close it."""
    if isinstance(target, Pool):
        return target.backend, False
    return backend_of(target, settings or PoolSettings()), True
