"""``BatchClient``: single calls in batches, to any endpoint that takes an array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar

from gristmill.client.addresses import checked_headers, split_address, without_login
from gristmill.client.budget import RetryBudget
from gristmill.client.calls import Calls
from gristmill.client.client import DEFAULT_BUDGET, DEFAULT_RETRY
from gristmill.client.formats import ArrayFormat
from gristmill.client.limits import Learnt
from gristmill.client.posting import Route
from gristmill.client.sending import Sender
from gristmill.client.transports.choice import default_transport
from gristmill.client.transports.protocol import Transport
from gristmill.errors import ConfigurationError
from gristmill.model.retry import Retry

T = TypeVar("T")
R = TypeVar("R")

_OF_BODIES = ("content-type", "accept")  # what the user says of them goes before JSON
_BYTES = 1 << 40  # sizes of items are not known here: a refusal (413) tells


class BatchClient(Calls[T, R], Generic[T, R]):
    """Calls an endpoint that takes many items at once, whoever wrote it.

    ::

        async with BatchClient("https://api.example.com/users/batch") as users:
            user = await users({"name": "Ada"})

    Args:
        url: Of the endpoint.
        encode: Makes the body of a list of items: bytes, or what becomes JSON; an array without it.
        decode: Makes the list of results of the decoded answer: ``lambda answer: answer["results"]``. A
            ``Failed`` or an exception in the place of a result fails that item alone.
        max_size: Items of a request at most; fewer where the endpoint answers 413.
        max_wait: Seconds that a request lingers for more items; 0 waits for nobody.
        concurrency: Requests in flight at once.
        method: ``POST``, unless the endpoint wants another.
        headers: Of every request; also a ``Content-Type`` of what *encode* makes.
        timeout: Seconds from a call to its answer, retries included; None waits without end.
        idempotent: Whether the endpoint may see an item twice: requests whose answer was lost are repeated.
        keyed: Whether it keeps ``Idempotency-Key``: each request is sent with one, and a repeat has the same.
        retry: How often a request is tried, and after how long.
        budget: Bounds the retries of all requests together.
        transport: As for ``Client``.

    Raises:
        ConfigurationError: An option cannot work, or no transport is installed.
    """

    def __init__(
        self,
        url: str,
        *,
        encode: Callable[[list[T]], Any] | None = None,
        decode: Callable[[Any], Any] | None = None,
        max_size: int = 100,
        max_wait: float = 0.0,
        concurrency: int = 4,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 30.0,
        idempotent: bool = False,
        keyed: bool = False,
        retry: Retry = DEFAULT_RETRY,
        budget: RetryBudget = DEFAULT_BUDGET,
        transport: Transport | None = None,
    ) -> None:
        url, login = without_login(url)
        parts = split_address(url)
        if parts is None:
            raise ConfigurationError(f"an endpoint is given as https://host/path, not {url!r}")
        self.url = url
        own = {**login, **checked_headers(headers or {})}
        sender = Sender(transport or default_transport(), own, retry, budget)
        route = Route(
            url=url,
            method=method,
            headers={name: value for name, value in own.items() if name in _OF_BODIES},
            timeout=timeout,
            idempotent=idempotent,
            keyed=keyed,
            limits=Learnt(max_size, _BYTES),
        )
        super().__init__(
            parts.path or "/",
            sender,
            ArrayFormat(encode, decode),
            route,
            max_size=max_size,
            max_wait=max_wait,
            concurrency=concurrency,
        )

    def __repr__(self) -> str:
        """Show where it goes."""
        return f"<BatchClient {self.url}>"

    async def aclose(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Close it: what waits is answered first, unless *drain* is false. Idempotent."""
        await super().aclose(drain=drain, timeout=timeout)
        self._sender.is_closed = True
        await self._sender.transport.aclose()

    async def __aenter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Close it: after an exception without waiting for what is on its way."""
        await self.aclose(drain=kind is None)
