"""A handler of a server of Gristmill: calls, lists, streams and jobs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar, Unpack

from gristmill.client.calls import Calls
from gristmill.client.description import Describer, Description
from gristmill.client.formats import HandlerFormat
from gristmill.client.handler_options import HandlerOptions
from gristmill.client.jobs.enqueuing import Enqueuer, JobOptions
from gristmill.client.jobs.remote_job import RemoteJob
from gristmill.client.jobs.uploads import file_upload, items_upload
from gristmill.client.limits import Learnt
from gristmill.client.posting import Route
from gristmill.client.sending import Sender
from gristmill.errors import ConfigurationError

T = TypeVar("T")
R = TypeVar("R")

_ITEMS, _BYTES = 1_000, 8 << 20
"""The limits of a server that tells none: the defaults of ``HttpLimits``."""


class RemoteHandler(Calls[T, R], Generic[T, R]):
    """Made by ``Client.handler``, which tells the options.

    Attributes:
        url: Of the handler: ``POST`` there takes one item, ``GET`` describes it.
    """

    def __init__(
        self,
        sender: Sender,
        url: str,
        name: str,
        *,
        result: Any,
        options: HandlerOptions,
    ) -> None:
        unknown = sorted(options.keys() - HandlerOptions.__optional_keys__)
        if unknown:
            known = ", ".join(sorted(HandlerOptions.__optional_keys__))
            raise ConfigurationError(f"a handler has no option {unknown[0]!r}; there are {known}")
        timeout = options.get("timeout", 30.0)
        self.url = url
        limits = Learnt(_ITEMS, _BYTES)
        self._describer = Describer(sender, url, limits, timeout)
        self._own_format = HandlerFormat(result)
        route = Route(
            url=f"{url}/batch",
            timeout=timeout,
            idempotent=options.get("idempotent", False),
            keyed=True,
            marked=True,
            limits=limits,
            prepare=self._describer.prepare,
        )
        super().__init__(
            name,
            sender,
            self._own_format,
            route,
            max_size=options.get("max_size", _ITEMS),
            max_wait=options.get("max_wait", 0.0),
            concurrency=options.get("concurrency", 4),
            max_pending=options.get("max_pending", 10_000),
        )
        self._jobs = Enqueuer(sender, url, self._own_format.result, timeout)

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<RemoteHandler {self.url}>"

    async def describe(self) -> Description:
        """Return what the server tells of the handler: its limits and schemas; asked once.

        Raises:
            ClientError: It tells nothing.
            DeadlineExceeded: Not within the timeout.
        """
        return await self._describer.get()

    # -- jobs

    async def enqueue(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> RemoteJob[R]:
        """Store *items* as one job of the server's durable queue, and return it once that is committed.

        Args:
            items: A list is sent again where that is safe; anything else is streamed, once.
            idempotency_key: Makes a repeat, also from another process, be answered with the same job. By
                default a new one, which covers the retries of this call.
            options: As ``JobOptions`` tells them.

        Raises:
            RequestRefused: The server did not take the job; nothing was stored.
            ItemFailed: An item has no JSON form; nothing was stored.
            ClientError: It could not be asked.
        """
        upload = items_upload(items, self._own_format)
        return await self._jobs.enqueue(upload, idempotency_key or str(uuid.uuid4()), options)

    async def enqueue_file(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        compress: bool = False,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> RemoteJob[R]:
        """Store the rows of a file as one job; it is streamed from the disk.

        Args:
            path: CSV (``.csv``) or JSON lines (``.ndjson``, ``.jsonl``), also ``.gz``.
            format: ``csv`` or ``ndjson``, where the name does not say.
            compress: Pack it with gzip on the way.
            idempotency_key: As in ``enqueue``.
            options: As in ``enqueue``.

        Raises:
            OSError: The file cannot be read.
            ConfigurationError: Its format is not known.
            ClientError: As ``enqueue``.
        """
        upload = file_upload(Path(path), format, compress=compress)
        return await self._jobs.enqueue(upload, idempotency_key or str(uuid.uuid4()), options)

    # -- the end

    async def aclose(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Close it; what waits is answered first, unless *drain* is false. Idempotent."""
        await super().aclose(drain=drain, timeout=timeout)
        await self._describer.aclose()
