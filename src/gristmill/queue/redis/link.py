"""The way to the server from one event loop: connections, scripts, timeouts, and a slot that moved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gristmill.errors import StoreUnavailable
from gristmill.queue.redis.faults import mapped
from gristmill.queue.redis.scripts import Script, script
from gristmill.queue.redis.settings import Settings
from gristmill.queue.redis.sizes import Sizes

LONGEST_WAIT = 5.0
"""Seconds of one blocking call."""

_CALLS = 8  # at once; more wait for one of them
_IDLE_CHECK = 30  # seconds without traffic after which a connection is tried before it is used
_GONE = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, OSError)


class Link:
    """Connections of one event loop, made when they are first needed."""

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        self._settings = settings
        self._sizes = sizes
        self._place: dict[str, Any] = {}  # where a cluster said that our slot is
        self._connect()

    def _connect(self) -> None:
        answer = self._settings.timeout
        self._client = self._make(_CALLS, answer)
        self._listener = self._make(1, answer + LONGEST_WAIT)

    def _make(self, connections: int, answer: float) -> Redis:
        options = {
            "protocol": 2,
            "socket_connect_timeout": self._settings.timeout / 2,
            "socket_timeout": answer,
            "socket_keepalive": True,
            "health_check_interval": _IDLE_CHECK,
            # A call whose answer was lost may have happened: whether to repeat it is the caller's to say.
            "retry": Retry(NoBackoff(), 0),
        }
        pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=2 * answer,  # seconds to wait for one of them
            **{**self._settings.connection, **options, **self._place},
        )
        return Redis.from_pool(pool)

    async def run(self, name: str, *args: Any) -> Any:
        """Run the script *name* and return its answer."""
        self._sizes.check(args)
        return await self._do(lambda: self._evaluate(script(name), args))

    async def _evaluate(self, wanted: Script, args: Sequence[Any]) -> Any:
        root = self._settings.root
        try:
            return await _send(self._client, "EVALSHA", wanted.digest, 1, root, *args)
        except exceptions.NoScriptError:  # the first time, or the server came back; from now on it knows
            return await _send(self._client, "EVAL", wanted.source, 1, root, *args)

    async def run_to_disk(self, name: str, *args: Any) -> Any:
        """Run the script *name*; return once what it wrote is in the append-only file on disk.

        Raises:
            StoreUnavailable: It was not in time. It is in memory, and may survive or not.
        """
        self._sizes.check(args)
        return await self._do(lambda: self._evaluate_to_disk(script(name), args))

    async def _evaluate_to_disk(self, wanted: Script, args: Sequence[Any]) -> Any:
        answer, synced = await self._with_sync("EVALSHA", wanted.digest, args)
        if isinstance(answer, exceptions.NoScriptError):
            answer, synced = await self._with_sync("EVAL", wanted.source, args)
        for found in (answer, synced):
            if isinstance(found, Exception):
                raise found
        if synced[0] < 1:
            raise StoreUnavailable("the append-only file was not on disk in time; it may be lost or not")
        return answer

    async def _with_sync(self, command: str, what: str, args: Sequence[Any]) -> list[Any]:
        # By one connection: the server waits for what this connection has written.
        pipe = self._client.pipeline(transaction=False)
        pipe.execute_command(command, what, 1, self._settings.root, *args)
        pipe.execute_command(
            "WAITAOF", 1, 0, int(self._settings.timeout * 900)
        )  # in ms, before the answer is given up
        return await pipe.execute(raise_on_error=False)

    async def call(self, *command: Any) -> Any:
        """Run one plain command."""
        return await self._do(lambda: _send(self._client, *command))

    async def pop(self, names: Sequence[str], seconds: float) -> str | None:
        """Take a token from the first of *names* that has one and return its name; None after *seconds*.

        Args:
            names: Of lists of the store.
            seconds: Above 0, cut to ``LONGEST_WAIT``.
        """
        keys = [self._settings.root + name for name in names]
        wait = f"{min(seconds, LONGEST_WAIT):.3f}"
        found = await self._do(lambda: _send(self._listener, "BLPOP", *keys, wait))
        return None if found is None else found[0].decode().removeprefix(self._settings.root)

    async def _do(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        with mapped():
            try:
                return await attempt()
            except exceptions.MovedError as moved:  # nothing was done there
                await self._move_to({"host": moved.host or self._host, "port": moved.port})
                return await attempt()
            except _GONE:
                await self._forget_idle()
                raise

    @property
    def _host(self) -> str:
        return str(self._settings.connection.get("host", "localhost"))

    async def _move_to(self, place: dict[str, Any]) -> None:
        if place == self._place:  # another call was here first
            return
        await self.close()
        self._place = place
        self._connect()

    async def _forget_idle(self) -> None:
        """Close the connections beside one that broke: their server is gone, or no primary any more."""
        if self._place:
            await self._move_to({})
        await self._client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close every connection."""
        for client in (self._client, self._listener):
            await client.aclose(close_connection_pool=True)


async def _send(client: Redis, *command: Any) -> Any:
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
