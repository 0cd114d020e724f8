"""``Client``: the handlers and jobs of one server."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Mapping
from typing import Any, Self, TypeVar, Unpack, overload
from urllib.parse import quote

from gristmill.client.addresses import checked_headers, split_address, without_login
from gristmill.client.budget import RetryBudget
from gristmill.client.handler_options import HandlerOptions
from gristmill.client.jobs.listing import RemoteJobs
from gristmill.client.remote_handler import RemoteHandler
from gristmill.client.sending import Sender
from gristmill.client.transports.choice import default_transport
from gristmill.client.transports.protocol import Transport
from gristmill.errors import ConfigurationError
from gristmill.model.numbers import is_number
from gristmill.model.retry import Retry

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_RETRY = Retry(attempts=4, base=0.2, cap=8.0)
DEFAULT_BUDGET = RetryBudget()
_PREFIX = "/v1"


class Client:
    """Calls the handlers of a server of Gristmill.

    ::

        async with Client("http://127.0.0.1:8000") as client:
            users = client.handler("users")
            user = await users({"name": "Ada"})

    It serves all event loops and threads, with connections of their own.

    Args:
        url: Of the server, or of the prefix of its routes: ``http://host`` means ``http://host/v1``.
        headers: Of every request: ``{"Authorization": "Bearer ..."}``.
        timeout: Seconds from a call to its answer, retries included; None waits without end.
        retry: How often a request, or an item that the server failed as retryable, is tried, and after how
            long. Only what has surely not been done is repeated, unless it is idempotent.
        budget: Bounds the retries of all requests together.
        transport: By default aiohttp where it is installed, else httpx2. It is closed with the client.

    Raises:
        ConfigurationError: The URL is none, a header cannot be sent, the timeout is none, or no transport is
            installed.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 30.0,
        retry: Retry = DEFAULT_RETRY,
        budget: RetryBudget = DEFAULT_BUDGET,
        transport: Transport | None = None,
    ) -> None:
        url, login = without_login(url)
        self.url = base_of(url)
        if timeout is not None and not (is_number(timeout) and 0 < timeout < math.inf):
            raise ConfigurationError(f"timeout must be seconds above 0, or None, not {timeout!r}")
        self.timeout = timeout
        self._sender = Sender(
            transport or default_transport(), {**login, **checked_headers(headers or {})}, retry, budget
        )
        # One that nobody holds and that has no calls under way needs no closing.
        self._handlers: weakref.WeakSet[RemoteHandler[Any, Any]] = weakref.WeakSet()
        self._jobs = RemoteJobs(self._sender, self.url, timeout)

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<Client {self.url}>"

    @overload
    def handler(
        self, name: str, *, item: type[T], result: type[R], **options: Unpack[HandlerOptions]
    ) -> RemoteHandler[T, R]: ...
    @overload
    def handler(
        self, name: str, *, item: type[T], **options: Unpack[HandlerOptions]
    ) -> RemoteHandler[T, Any]: ...
    @overload
    def handler(
        self, name: str, *, result: type[R], **options: Unpack[HandlerOptions]
    ) -> RemoteHandler[Any, R]: ...
    @overload
    def handler(self, name: str, **options: Unpack[HandlerOptions]) -> RemoteHandler[Any, Any]: ...

    def handler(
        self,
        name: str,
        *,
        item: Any = Any,  # noqa: ARG002 - for type checkers: the server says what it takes
        result: Any = Any,
        **options: Unpack[HandlerOptions],
    ) -> RemoteHandler[Any, Any]:
        """Return the handler *name* of the server; no request is made yet.

        Args:
            name: Its name.
            item: The type of its items: a Struct, a dataclass, a pydantic model, a TypedDict, builtins.
            result: The type that its results become.
            options: As ``HandlerOptions`` tells them.

        Raises:
            ConfigurationError: An option cannot work.
        """
        made: RemoteHandler[Any, Any] = RemoteHandler(
            self._sender,
            f"{self.url}/{quote(name, safe='')}",
            name,
            result=result,
            options={"timeout": self.timeout, **options},
        )
        self._handlers.add(made)
        return made

    @property
    def jobs(self) -> RemoteJobs:
        """The jobs of the server."""
        return self._jobs

    async def aclose(self, *, drain: bool = True) -> None:
        """Close the client: what waits is answered first, unless *drain* is false. Idempotent."""
        await asyncio.gather(*(handler.aclose(drain=drain) for handler in list(self._handlers)))
        self._sender.is_closed = True
        await self._sender.transport.aclose()

    async def __aenter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Close it: after an exception without waiting for what is on its way."""
        await self.aclose(drain=kind is None)


def base_of(url: str) -> str:
    """Return the URL below which the routes of a server are.

    >>> base_of("http://127.0.0.1:8000"), base_of("https://host/api/v1/")
    ('http://127.0.0.1:8000/v1', 'https://host/api/v1')

    Raises:
        ConfigurationError: It is no URL of a server.
    """
    parts = split_address(url)
    if parts is None or parts.query or parts.fragment:
        raise ConfigurationError(f"a server is given as http://host:8000 or https://host/v1, not {url!r}")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or _PREFIX}"
