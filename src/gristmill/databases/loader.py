"""``BulkLoader``: rows by their keys, all that are asked for at the same moment by one query."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

from gristmill.batching.context import BatchContext
from gristmill.batching.decorator import batch
from gristmill.batching.handler import BatchHandler
from gristmill.databases.faults import RowRefused
from gristmill.databases.keys import as_key, plain_key
from gristmill.databases.names import table_name
from gristmill.databases.outages import OUTAGES, failed_of
from gristmill.databases.pool import backend_for
from gristmill.databases.rows import ResultBuilder
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError, ItemMissing
from gristmill.model.outcome import Failed, Ok
from gristmill.model.pool import PoolStats

R = TypeVar("R")


class BulkLoader(Generic[R]):
    """Loads rows of one table by their keys.

    ::

        users = BulkLoader("postgresql://localhost/shop", "users", returning=User)
        user = await users.load(7)            # None if there is none
        found = await users.load_many([7, 8])

    Calls of ``load`` that come in the same turn of the event loop, and those
    that come while a query is under way, share one query
    (``WHERE id = ANY($1)``); equal keys are looked up once. It is a batch
    handler underneath, so it may be made before there is an event loop, and
    used from several.

    Args:
        target: As for ``BulkWriter``; pass the same ``Pool`` to share connections.
        table: Its name.
        key: The column that *keys* are of, or several: keys are tuples then.
            None: the primary key. It should be unique: of several rows with
            one key, any one is returned.
        returning: What to return for a row: an object of this Struct,
            dataclass, TypedDict or pydantic model, a dict of these columns,
            or the value of this column.
        missing: What becomes of a key without a row: ``"none"``, or
            ``"error"``: ``load`` raises ``ItemMissing``.
        max_size: Most keys of a query.
        concurrency: Queries at the same time.
        cache: Rows to keep for later calls, the least recently used goes
            first. 0: none; whoever keeps rows has to ``forget`` what changes.

    Raises:
        ConfigurationError: An option cannot work.
    """

    @overload
    def __init__(
        self,
        target: Any,
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        returning: type[R],
        missing: Literal["none", "error"] = "none",
        max_size: int = 1000,
        concurrency: int = 4,
        cache: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: BulkLoader[Any],
        target: Any,
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        returning: str,
        missing: Literal["none", "error"] = "none",
        max_size: int = 1000,
        concurrency: int = 4,
        cache: int = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: BulkLoader[dict[str, Any]],
        target: Any,
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        returning: Sequence[str],
        missing: Literal["none", "error"] = "none",
        max_size: int = 1000,
        concurrency: int = 4,
        cache: int = 0,
    ) -> None: ...

    def __init__(
        self,
        target: Any,
        table: str,
        *,
        key: str | Sequence[str] | None = None,
        returning: type[Any] | Sequence[str],
        missing: Literal["none", "error"] = "none",
        max_size: int = 1000,
        concurrency: int = 4,
        cache: int = 0,
    ) -> None:
        if missing not in ("none", "error"):
            raise ConfigurationError(f"missing is 'none' or 'error', not {missing!r}")
        if cache < 0:
            raise ConfigurationError(f"cache is a number of rows, not {cache}")
        self._backend, self._is_own = backend_for(target)
        self._name = table_name(table)
        self._key = (key,) if isinstance(key, str) else None if key is None else tuple(key)
        self._builder: ResultBuilder[R] = ResultBuilder(returning)
        self._is_strict = missing == "error"
        self._limits: dict[str, Any] = {"max_size": max_size, "concurrency": concurrency}
        self._size = cache
        self._cache: OrderedDict[Any, R] = OrderedDict()
        self._joined: Any = None
        self._table: Table | None = None
        self._handler = self._made()

    def _made(self) -> BatchHandler[Any, R | None]:
        make: Any = batch(name=f"load {self._name}", dedupe=True, **self._limits)
        handler: BatchHandler[Any, R | None] = make(self._look_up)
        return handler

    def __repr__(self) -> str:
        """Show what it loads from."""
        return f"BulkLoader({self._backend.stats().name}, {str(self._name)!r})"

    def load(self, key: Any) -> Awaitable[R | None]:
        """Return the row with *key*; call it on an event loop, with others, and await it.

        Raises:
            ItemMissing: There is none, and ``missing="error"``.
            ConfigurationError: It is neither a value nor a tuple of values.
            ItemFailed: The database was not available, in time or at all;
                the code tells, and it is retryable. Or the key is none that
                the column can have (``type_mismatch``, ``number_out_of_range``).
        """
        key = as_key(key)
        if key in self._cache:
            self._cache.move_to_end(key)
            known: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
            known.set_result(self._cache[key])
            return known
        return self._handler(key)

    async def load_many(self, keys: Iterable[Any]) -> list[R | Failed | None]:
        """Return one entry a key, in their order: the row; None, or ``Failed`` if ``missing="error"``.

        ``Failed``, too, of a key that the column cannot have; see ``load``.

        Raises nothing for a single key, unless it is neither a value nor a tuple of values.
        """
        wanted = [as_key(key) for key in keys]
        known = {key: self._cache[key] for key in wanted if key in self._cache} if self._cache else {}
        asked = [key for key in wanted if key not in known] if known else wanted
        outcomes = iter(await self._handler.outcomes(asked))
        found: list[R | Failed | None] = []
        for key in wanted:
            if key in known:
                found.append(known[key])
                continue
            outcome = next(outcomes)
            found.append(outcome.value if isinstance(outcome, Ok) else outcome)
        return found

    def within(self, transaction: BatchContext | Any) -> BulkLoader[R]:
        """Return a loader that looks in the transaction of a batch, or of a connection of your own.

        It sees what was written there, one query after another, and keeps nothing.

        Args:
            transaction: The context of a batch, or a connection. A context
                without a transaction gives this loader itself.
        """
        joined = transaction.transaction if isinstance(transaction, BatchContext) else transaction
        if joined is None:
            return self
        bound: BulkLoader[R] = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound._joined, bound._is_own, bound._table = joined, False, None
        bound._cache, bound._size = OrderedDict(), 0
        bound._limits = {**self._limits, "concurrency": 1}
        bound._handler = bound._made()
        return bound

    def forget(self, *keys: Any) -> None:
        """Take *keys* out of the cache; without any, all of them."""
        for key in keys:
            self._cache.pop(key, None)
        if not keys:
            self._cache.clear()

    def stats(self) -> PoolStats:
        """Return how its pool stands."""
        return self._backend.stats()

    async def aclose(self) -> None:
        """Close the connections, unless they are of a ``Pool`` or the caller's own. Idempotent."""
        await self._handler.aclose()
        if self._is_own:
            await self._backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _look_up(self, keys: list[Any]) -> list[R | Failed | None]:
        try:
            table = await self._described()
            key = table.key_or(self._key)
            fit = [one for one in keys if len(key) == 1 or (isinstance(one, tuple) and len(one) == len(key))]
            rows, refused = await self._selected(table, key, fit)
            if refused and await self._is_altered(table):
                return await self._look_up(keys)
        except OUTAGES as error:
            return [failed_of(error)] * len(keys)
        except ConfigurationError:
            self._table = None  # it may have been altered
            raise
        built = self._builder.build_all([values for _, values in rows])
        uuids = [table.columns[name].type == "uuid" for name in key]
        found = {plain_key(stored, uuids): one for (stored, _), one in zip(rows, built, strict=True)}
        return [refused[one] if one in refused else self._answer(one, uuids, found) for one in keys]

    async def _selected(
        self, table: Table, key: tuple[str, ...], keys: list[Any]
    ) -> tuple[list[tuple[Any, Sequence[Any]]], dict[Any, Failed]]:
        """Return the rows with *keys*, and key -> why of those that its column cannot have, by halves."""
        if not keys:
            return [], {}
        try:
            return await self._backend.select(table, self._builder.columns, key, keys, self._joined), {}
        except RowRefused as refused:
            if len(keys) == 1:
                return [], {keys[0]: refused.failed}
        middle = len(keys) // 2
        rows, left = await self._selected(table, key, keys[:middle])
        more, right = await self._selected(table, key, keys[middle:])
        return rows + more, left | right

    async def _is_altered(self, table: Table) -> bool:
        self._table = None
        return await self._described() != table

    def _answer(self, key: Any, uuids: Sequence[bool], found: dict[Any, R]) -> R | Failed | None:
        plain = plain_key(key, uuids)
        if plain in found:
            self._keep(key, found[plain])
            return found[plain]
        if not self._is_strict:
            return None
        return Failed(ItemMissing(f"there is no such row in {self._name}"), ItemMissing.code)

    def _keep(self, key: Any, value: R) -> None:
        if self._size:
            self._cache[key] = value
            if len(self._cache) > self._size:
                self._cache.popitem(last=False)

    async def _described(self) -> Table:
        if self._table is None:
            table = await self._backend.table(self._name, self._joined)
            table.check(self._builder.columns, "columns of returning")
            self._table = table
        return self._table
