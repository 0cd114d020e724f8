"""How items become chunks in a store: at once when they are few, as an upload when they are many."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Hashable, Iterable
from itertools import count
from typing import Any

import msgspec

from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError
from gristmill.model.chunk import NewChunk, cut
from gristmill.model.job import Enqueued, NewJob
from gristmill.queue.coding import QueueCodec
from gristmill.queue.store import Store

_MOST_ITEMS = 1000
_MOST_BYTES = 1 << 20
_WINDOW = 8 << 20
"""Bytes of items in memory at once."""

Source = Iterable[Any] | AsyncIterable[Any]


class Intake:
    """Takes items for one handler in.

    Args:
        handler: Whose items.
        codec: Reads and writes them.
        store: Keeps them.
    """

    def __init__(self, handler: BatchHandler[Any, Any], codec: QueueCodec, store: Store) -> None:
        self._codec = codec
        self._store = store
        self._key: Callable[[Any], Hashable] | None = handler.limits.key
        self._max_items = min(handler.limits.largest, _MOST_ITEMS)

    async def take(self, job: NewJob, source: Source, *, key: str | None, connection: Any = None) -> Enqueued:
        """Store *job* with the items of *source*: all of them, or none if this raises.

        A source of more than a few megabytes is stored bit by bit, and runs when it is whole.

        Args:
            job: Its id is new.
            source: Items of the handler's type, or their JSON as ``msgspec.Raw``.
            key: The ordering key of all of them; by default that of each item, where the handler has ``key``.
            connection: As for ``Store.enqueue``; such items must fit into memory.

        Raises:
            InvalidItem: One is not of the handler's type; nothing was stored.
        """
        upload: _Upload | None = None
        window: list[Any] = []
        texts: list[bytes] = []
        size = first = 0
        try:
            async for item in _each(source):
                text = self._codec.text(item, first + len(window))
                is_text = isinstance(item, msgspec.Raw) and self._key is not None
                window.append(self._codec.item(text) if is_text else item)
                texts.append(text)
                size += len(text)
                if size < _WINDOW or connection is not None:
                    continue
                if upload is None:
                    upload = _Upload(self._store, job)
                    if (held := await upload.begin()) is not None:
                        return held
                await upload.add(self._chunks(job.id, window, texts, first, key))
                first += len(window)
                window, texts, size = [], [], 0
            rest = self._chunks(job.id, window, texts, first, key)
            if upload is None:
                (found,) = await self._store.enqueue([(job, rest)], connection=connection)
                return found
            await upload.add(rest)
            return await upload.commit()
        except BaseException:
            if upload is not None:
                await upload.abort()
            raise

    def _chunks(
        self, job: str, items: list[Any], texts: list[bytes], first: int, key: str | None
    ) -> list[NewChunk]:
        if key is not None or self._key is None:
            return list(self._cut(texts, job, key, count(first)))
        groups: dict[str, tuple[list[bytes], list[int]]] = {}
        for place, (item, text) in enumerate(zip(items, texts, strict=True), first):
            found = groups.setdefault(str(self._key(item)), ([], []))
            found[0].append(text)
            found[1].append(place)
        return [
            chunk for name, (group, places) in groups.items() for chunk in self._cut(group, job, name, places)
        ]

    def _cut(
        self, texts: list[bytes], job: str, key: str | None, places: Iterable[int]
    ) -> Iterable[NewChunk]:
        return cut(texts, job=job, max_items=self._max_items, max_bytes=_MOST_BYTES, key=key, places=places)


class _Upload:
    """A job that is stored bit by bit."""

    def __init__(self, store: Store, job: NewJob) -> None:
        self._store = store
        self._job = job
        self._is_begun = False

    async def begin(self) -> Enqueued | None:
        """Return who holds the unique key already, if somebody does."""
        found = await self._store.begin(self._job)
        self._is_begun = found.created
        return None if found.created else found

    async def add(self, chunks: list[NewChunk]) -> None:
        await self._store.add(self._job.id, chunks)

    async def commit(self) -> Enqueued:
        await self._store.commit(self._job.id)
        return Enqueued(job=self._job.id, created=True)

    async def abort(self) -> None:
        if self._is_begun:
            await self._store.abort(self._job.id)


async def _each(source: Source) -> Any:
    if isinstance(source, str | bytes | dict):
        raise ConfigurationError(
            f"enqueue takes a list of items, not {type(source).__name__}; wrap it: [item]"
        )
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item
