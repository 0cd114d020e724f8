"""How items become chunks in a store: at once when they are few, as an upload when they are many."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import msgspec

from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError, InvalidItem, JobNotFound, QueueError, UploadAbandoned
from gristmill.model.chunk import NewChunk, cut, runs_of
from gristmill.model.job import Enqueued, JobState, NewJob
from gristmill.model.lease import NewResult, ResultKind
from gristmill.model.settling import Failure
from gristmill.model.texts import check_key, is_unicode, short_key
from gristmill.queue.coding import QueueCodec
from gristmill.queue.store import ABANDONED, Store
from gristmill.queue.upload_keeper import UploadKeeper

_MOST_ITEMS = 1000
_MOST_BYTES = 1 << 20
_WINDOW = 8 << 20
"""Bytes of items in memory at once."""

_KEYED = 10_000
"""Items with keys of their own in memory at once: each may be a chunk of its own."""

_AT_ONCE = 100  # items of a list that are looked at between two turns of the loop

Source = Iterable[Any] | AsyncIterable[Any]


class Ready(NamedTuple):
    """An item that was checked by whoever read it, and its JSON."""

    item: Any
    text: bytes


ReadySource: TypeAlias = AsyncIterable[Sequence[Ready | Failure]]
"""Items in the order of their places, some at a time; a ``Failure`` takes the place of one that is none."""

_FAILURES = msgspec.json.Encoder()


class Intake:
    """Takes items for one handler in.

    Args:
        handler: Whose items.
        codec: Reads and writes them.
        store: Keeps them.
        max_bytes: Of one batch: no chunk is larger, but for one of a single item.
    """

    def __init__(
        self,
        handler: BatchHandler[Any, Any],
        codec: QueueCodec,
        store: Store,
        *,
        max_bytes: int = _MOST_BYTES,
    ) -> None:
        self._codec = codec
        self._store = store
        self._keeper = UploadKeeper(store)
        self._key: Callable[[Any], Hashable] | None = handler.limits.key
        self._max_items = min(handler.limits.largest, _MOST_ITEMS)
        self._max_bytes = min(max_bytes, _MOST_BYTES)

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
            UploadAbandoned: This process stood still for too long; nothing was stored.
        """
        if key is not None:
            check_key("key", key)
        if isinstance(source, list | tuple) and len(source) <= _AT_ONCE:
            window = _Window(0)
            for place, item in enumerate(source):
                window.put(self._ready(item, place))
            if window.size < _WINDOW or connection is not None:
                return await self._enqueued(job, window, key, connection)
        return await self._take(job, self._written(source), key, connection)

    async def take_ready(self, job: NewJob, source: ReadySource, *, key: str | None) -> Enqueued:
        """Store *job* with the items of *source* as ``take`` does; its failures become failed items."""
        if key is not None:
            check_key("key", key)
        return await self._take(job, source, key, None)

    async def _take(self, job: NewJob, source: ReadySource, key: str | None, connection: Any) -> Enqueued:
        upload = _Upload(self._store, job, self._keeper)
        window = _Window(0)
        is_keyed = key is None and self._key is not None
        try:
            async for entries in source:
                for entry in entries:
                    window.put(entry)
                is_full = window.size >= _WINDOW or (is_keyed and len(window.items) >= _KEYED)
                if not is_full or connection is not None:
                    continue
                if (held := await upload.add(self._chunks(job.id, window, key), window)) is not None:
                    return held
                window = _Window(window.following)
            if not upload.is_begun and not window.failures:
                return await self._enqueued(job, window, key, connection)
            rest = self._chunks(job.id, window, key)
            if (held := await upload.add(rest, window)) is not None:
                return held
            return await upload.commit()
        except BaseException:
            await upload.abort()
            raise
        finally:
            self._keeper.drop(job.id)

    async def _enqueued(self, job: NewJob, window: _Window, key: str | None, connection: Any) -> Enqueued:
        chunks = self._chunks(job.id, window, key)
        (found,) = await self._store.enqueue([(job, chunks)], connection=connection)
        return found

    async def _written(self, source: Source) -> AsyncIterator[Sequence[Ready]]:
        """Yield the items of *source* with their JSON."""
        if isinstance(source, str | bytes | dict):
            raise ConfigurationError(
                f"enqueue takes a list of items, not {type(source).__name__}; wrap it: [item]"
            )
        place = 0
        if isinstance(source, AsyncIterable):
            async for item in source:
                yield [self._ready(item, place)]
                place += 1
            return
        items = iter(source)
        while some := list(islice(items, _AT_ONCE)):
            yield [self._ready(item, at) for at, item in enumerate(some, place)]
            place += len(some)

    def _ready(self, item: Any, place: int) -> Ready:
        """Return *item* with its JSON; of JSON that is ready the item itself is read for its key only."""
        text = self._codec.text(item, place)
        is_text = isinstance(item, msgspec.Raw) and self._key is not None
        return Ready(self._codec.item(text) if is_text else item, text)

    def _chunks(self, job: str, window: _Window, key: str | None) -> list[NewChunk]:
        texts, places = window.texts, window.places
        if key is not None or self._key is None:
            return list(self._cut(texts, job, key, places))
        groups: dict[str, tuple[list[bytes], list[int]]] = {}
        for place, item, text in zip(places, window.items, texts, strict=True):
            try:
                name = str(self._key(item))
            except Exception as error:
                raise InvalidItem(f"its key cannot be told: {error!r}", index=place) from error
            if name not in groups and not is_unicode(name):
                raise InvalidItem(f"its key has half a surrogate pair in it: {name!a}", index=place)
            found = groups.setdefault(name, ([], []))
            found[0].append(text)
            found[1].append(place)
        return [
            chunk for name, (group, places) in groups.items() for chunk in self._cut(group, job, name, places)
        ]

    def _cut(
        self, texts: list[bytes], job: str, key: str | None, places: Iterable[int]
    ) -> Iterable[NewChunk]:
        return cut(
            texts,
            job=job,
            max_items=self._max_items,
            max_bytes=self._max_bytes,
            key=None if key is None else short_key(key),
            places=places,
        )


class _Window:
    """The items that are in memory, and their places in the job.

    Attributes:
        following: The place after the last one.
        size: About their bytes.
    """

    def __init__(self, following: int) -> None:
        self.items: list[Any] = []
        self.texts: list[bytes] = []
        self.places: list[int] = []
        self.failures: dict[int, Failure] = {}
        self.following = following
        self.size = 0

    def put(self, entry: Ready | Failure) -> None:
        if isinstance(entry, Failure):
            self.failures[self.following] = entry
            self.size += len(entry.message)
        else:
            self.items.append(entry.item)
            self.texts.append(entry.text)
            self.places.append(self.following)
            self.size += len(entry.text)
        self.following += 1

    def refused(self, job: str) -> list[NewResult]:
        """Return the result of all places that hold no item."""
        if not self.failures:
            return []
        body = _FAILURES.encode(list(self.failures.values()))
        places = runs_of(self.failures)
        items = len(self.failures)
        return [NewResult(job=job, kind=ResultKind.FAILED, places=places, items=items, body=body)]


class _Upload:
    """A job that is stored bit by bit, and kept alive meanwhile."""

    def __init__(self, store: Store, job: NewJob, keeper: UploadKeeper) -> None:
        self._store = store
        self._job = job
        self._keeper = keeper
        self.is_begun = False

    async def add(self, chunks: list[NewChunk], window: _Window) -> Enqueued | None:
        """Return who holds the unique key already, if somebody does."""
        job = self._job.id
        if not self.is_begun:
            found = await self._store.begin(self._job)
            self.is_begun = found.created
            if not found.created:
                return found
            self._keeper.keep(job)
        try:
            await self._store.add(job, chunks, refused=window.refused(job))
        except JobNotFound:
            raise await self._lost() from None
        return None

    async def commit(self) -> Enqueued:
        try:
            await self._store.commit(self._job.id)
        except JobNotFound:
            raise await self._lost() from None
        return Enqueued(job=self._job.id, created=True)

    async def _lost(self) -> QueueError:
        """Return the error for an upload that takes no items any more."""
        found = await self._store.job(self._job.id)
        if found is not None and found.state is not JobState.RECEIVING:
            return JobNotFound(f"job {self._job.id} takes no more items: it was cancelled while they came")
        return UploadAbandoned(
            f"nothing was heard of the upload {self._job.id} for over {ABANDONED:g} seconds, "
            "so it was removed: submit its items again"
        )

    async def abort(self) -> None:
        if self.is_begun:
            await self._store.abort(self._job.id)
