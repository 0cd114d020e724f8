"""One connection, used from synchronous code: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

try:
    import asyncpg
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "PostgreSQL needs asyncpg: pip install 'gristmill[postgres]'", name="asyncpg"
    ) from missing

from gristmill.streams.sql.database import Away

T = TypeVar("T")

_CONNECT = 10.0
_COMMAND = 600.0
_CLOSING = 5.0

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, ended by an administrator
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,  # a deadlock, a serialization failure
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ProtocolViolationError,
    asyncpg.InternalServerError,
    asyncpg.PostgresIOError,
)
"""After these a new connection may do what was refused."""

NOT_LET_IN = (
    asyncpg.exceptions.ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what says that the server is away as ``Away``."""
    try:
        yield
    except LOST as error:
        if isinstance(error, asyncpg.DiskFullError | asyncpg.exceptions.ClientConfigurationError):
            raise
        raise Away(str(error) or type(error).__name__) from error


class PostgresConnection:
    """A connection to *dsn*, made by ``connect`` and again after ``abandon``.

    The loop runs in a daemon thread, so that callers may be in a loop of
    their own, and Ctrl-C is theirs.

    Args:
        dsn: The URL, password included.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.raw: Any = None

    def connect(self) -> None:
        """Connect, if not connected; raises ``Away``."""
        if self.raw is None or self.raw.is_closed():
            self.raw = self.run(self._connect)

    async def _connect(self) -> Any:
        options: dict[str, str] = {"default_transaction_isolation": "read committed", "timezone": "UTC"}
        if "application_name=" not in self._dsn:
            options["application_name"] = "gristmill run"
        return await asyncpg.connect(
            self._dsn, timeout=_CONNECT, command_timeout=_COMMAND, server_settings=options
        )

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* on the loop and return its value.

        Raises:
            Away: The server is.
        """

        async def awaited() -> T:
            return await work()

        loop = self._started()
        with translated():
            return asyncio.run_coroutine_threadsafe(awaited(), loop).result()

    def execute(self, sql: str, *values: Any) -> str:
        """Run a statement and return its tag."""
        return str(self.run(lambda: self.raw.execute(sql, *values)))

    def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement and return its rows."""
        rows: list[Any] = self.run(lambda: self.raw.fetch(sql, *values))
        return rows

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="gristmill-postgres", daemon=True
            )
            self._thread.start()
        return self._loop

    def abandon(self) -> None:
        """Cut the connection, and end the thread. Idempotent, raises nothing."""
        raw, self.raw = self.raw, None
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        if raw is not None:
            asyncio.run_coroutine_threadsafe(_close(raw), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _close(raw: Any) -> None:
    """End the session: whatever transaction it is in is rolled back."""
    try:
        await raw.close(timeout=_CLOSING)
    except (asyncpg.PostgresError, *LOST):
        raw.terminate()
