"""What a transport is: it sends one request, and says exactly how far that came."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gristmill.errors import AnswerLost, ServerUnreachable

Body: TypeAlias = bytes | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        method: ``GET``, ``POST`` or ``DELETE``.
        url: Absolute, with its query.
        headers: By name.
        body: Whole, or piece by piece; None sends none.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


class Response(Protocol):
    """The head of an answer has come; the body may still be on its way."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case; the values of one that came twice are joined by a comma."""

    async def read(self) -> bytes:
        """Return the whole body; raises ``AnswerLost`` if it ends early."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; raises ``AnswerLost`` if it ends early."""


class Transport(Protocol):
    """Sends requests. It follows no redirect, repeats nothing and keeps no time: that is done above it."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Response]:
        """Send *request*, and give its answer up at the end of the block.

        Cancelling it closes the connection.

        Raises:
            ServerUnreachable: Nothing was sent.
            AnswerLost: Something may have been, and no head of an answer came.
        """

    async def aclose(self) -> None:
        """Close all connections."""


def unreachable(url: str, reason: object) -> ServerUnreachable:
    """Return the error of a request that was not sent."""
    return ServerUnreachable(
        f"no connection to {url}: {reason}; does the server run, and is that its address?"
    )


def lost(url: str, reason: object, *, begun: bool) -> AnswerLost:
    """Return the error of a request that was sent, and whose answer did not come whole.

    Args:
        url: Of the request.
        reason: What ended the connection.
        begun: Whether the head of the answer had come.
    """
    said = f"{type(reason).__name__} {reason}".strip() if isinstance(reason, Exception) else str(reason)
    what = f"the answer of {url} broke off" if begun else f"{url} gave no answer"
    return AnswerLost(f"{what}: {said}; nobody knows whether it was done: idempotent=True asks again")
