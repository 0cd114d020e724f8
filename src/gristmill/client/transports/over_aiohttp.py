"""Requests over aiohttp."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gristmill.client.transports.per_loop import PerLoop
from gristmill.client.transports.protocol import Body, Request, Response, lost, unreachable
from gristmill.errors import AnswerLost, ConfigurationError

_IDLE = 4.0
"""Seconds an unused connection is kept: servers close theirs after 5 (uvicorn), and a request that meets
that moment is lost without anybody knowing whether it was read."""
_AT_ONCE = 1 << 18


class AiohttpTransport:
    """Sends requests over aiohttp; has connections of its own on each event loop.

    Args:
        session: Your own ``aiohttp.ClientSession``, which belongs to one event loop and is yours to close; by
            default one of its own for each loop.
        connections: Open at once, at most.
        options: For the session: ``trust_env=True``, ``connector=...``.

    Raises:
        ConfigurationError: aiohttp is not installed.
    """

    def __init__(self, session: Any = None, *, connections: int = 100, **options: Any) -> None:
        try:
            import aiohttp  # noqa: PLC0415 - an optional extra, here in its own adapter
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "this transport needs aiohttp: pip install 'gristmill[client]'"
            ) from error
        self._aiohttp = aiohttp
        self._session = session
        self._own: PerLoop[Any] = PerLoop(self._made, lambda own: own.close())
        self._connections = connections
        self._options = options

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Response, None]:
        """Send *request*, as ``Transport`` says."""
        aiohttp = self._aiohttp
        try:
            answer = await (self._session or self._own.here()).request(
                request.method,
                request.url,
                data=_body(request.body),
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0),
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reason = getattr(error, "os_error", None) or error
            raise unreachable(request.url, reason) from error
        except aiohttp.InvalidURL as error:
            raise ConfigurationError(f"{request.url} is no URL: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise lost(request.url, error, begun=False) from error
        async with answer:
            yield _Answer(answer, aiohttp.ClientError, request.url)

    def _made(self) -> Any:
        aiohttp = self._aiohttp
        options = {
            "connector": aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_IDLE),
            "cookie_jar": aiohttp.DummyCookieJar(),
            "auto_decompress": False,
            "skip_auto_headers": ("User-Agent", "Accept-Encoding"),
            **self._options,
        }
        return aiohttp.ClientSession(**options)

    async def aclose(self) -> None:
        """Close all connections of its own."""
        await self._own.aclose()


def _body(body: Body | None) -> Any:
    # aiohttp writes a large one at once, and holds the loop up, unless it comes as a file.
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _AT_ONCE else body


class _Answer:
    def __init__(self, answer: Any, error: type[Exception], url: str) -> None:
        self._answer = answer
        self._error = error
        self._url = url
        self.status: int = answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name, value in self._answer.headers.items():
            name = name.lower()  # noqa: PLW2901 - the same name
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    async def read(self) -> bytes:
        try:
            body: bytes = await self._answer.read()
        except (self._error, OSError) as error:
            raise self._lost(error) from error
        return body

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except (self._error, OSError) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> AnswerLost:
        return lost(self._url, error, begun=True)
