"""``BatchClient`` for programs without an event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, TypeVar

from gristmill.client.batch_client import BatchClient
from gristmill.client.portal import Portal
from gristmill.client.sync_calls import SyncCalls

T = TypeVar("T")
R = TypeVar("R")


class SyncBatchClient(SyncCalls[T, R]):
    """``BatchClient`` for synchronous code; calls of several threads meet in batches.

    ::

        with SyncBatchClient("https://api.example.com/users/batch") as users:
            user = users({"name": "Ada"})

    Args:
        url: As for ``BatchClient``.
        options: As for ``BatchClient``.

    Raises:
        ConfigurationError: As ``BatchClient``.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client: BatchClient[T, R] = BatchClient(url, **options)
        super().__init__(self._client, Portal())

    def __repr__(self) -> str:
        """Show where it goes."""
        return f"<SyncBatchClient {self._client.url}>"

    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Close it: what waits is answered first, unless *drain* is false. Idempotent."""
        self._portal.run(self._client.aclose(drain=drain, timeout=timeout))

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it: after an exception without waiting for what is on its way."""
        self.close(drain=kind is None)
