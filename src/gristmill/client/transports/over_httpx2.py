"""Requests over httpx2."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from gristmill.client.transports.per_loop import PerLoop
from gristmill.client.transports.protocol import Request, Response, lost, unreachable
from gristmill.errors import ConfigurationError

_IDLE = 4.0
"""Seconds an unused connection is kept; ``over_aiohttp`` says why."""
_CONNECT = 30.0


class Httpx2Transport:
    """Sends requests over httpx2; has connections of its own on each event loop.

    Args:
        client: Your own ``httpx2.AsyncClient``, which belongs to one event loop and is yours to close; by
            default one of its own for each loop.
        connections: Open at once, at most.
        options: For the client: ``http2=True``, ``verify=...``.

    Raises:
        ConfigurationError: httpx2 is not installed.
    """

    def __init__(self, client: Any = None, *, connections: int = 100, **options: Any) -> None:
        try:
            import httpx2  # noqa: PLC0415 - an optional extra, here in its own adapter
        except ModuleNotFoundError as error:
            raise ConfigurationError("this transport needs httpx2: pip install httpx2") from error
        self._httpx2 = httpx2
        self._client = client
        self._own: PerLoop[Any] = PerLoop(self._made, lambda own: own.aclose())
        self._connections = connections
        self._options = options

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Response, None]:
        """Send *request*, as ``Transport`` says."""
        httpx2, client = self._httpx2, self._client or self._own.here()
        try:
            built = client.build_request(
                request.method, request.url, content=request.body, headers=dict(request.headers)
            )
            answer = await client.send(built, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise unreachable(request.url, error) from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ConfigurationError(f"{request.url} is no URL: {error}") from error
        except httpx2.TransportError as error:
            raise lost(request.url, error, begun=False) from error
        try:
            yield _Answer(answer, httpx2.TransportError, request.url)
        finally:
            await answer.aclose()

    def _made(self) -> Any:
        httpx2 = self._httpx2
        limits = httpx2.Limits(
            max_connections=self._connections,
            max_keepalive_connections=self._connections,
            keepalive_expiry=_IDLE,
        )
        options = {
            "limits": limits,
            "timeout": httpx2.Timeout(None, connect=_CONNECT),
            "headers": {"accept-encoding": "identity"},
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # keeps none
            **self._options,
        }
        return httpx2.AsyncClient(**options)

    async def aclose(self) -> None:
        """Close all connections of its own."""
        await self._own.aclose()


class _Answer:
    def __init__(self, answer: Any, error: type[Exception], url: str) -> None:
        self._answer = answer
        self._error = error
        self._url = url
        self.status: int = answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._answer.headers.items()}

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.aiter_raw():
                yield piece
        except self._error as error:
            raise lost(self._url, error, begun=True) from error
