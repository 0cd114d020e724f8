"""PostgreSQL as a backend: a batch is one statement where it can be, and one transaction where it must."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gristmill.databases.backend import no_transaction, other_database
from gristmill.databases.faults import Interrupted, RowRefused
from gristmill.databases.isolating import isolate
from gristmill.databases.names import TableName
from gristmill.databases.operation import ROLLED_BACK, Stored, Work
from gristmill.databases.postgres.connections import Connections
from gristmill.databases.postgres.errors import EVERY, sorted_error
from gristmill.databases.postgres.inspecting import inspect
from gristmill.databases.postgres.session import Filling, Session
from gristmill.databases.postgres.statements import selection
from gristmill.databases.postgres.values import adapted, json_readers, with_json
from gristmill.databases.settings import PoolCounts, PoolSettings
from gristmill.databases.table import Table
from gristmill.databases.trying import tried
from gristmill.databases.turns import turn
from gristmill.errors import CommitUnknown, DatabaseFailed
from gristmill.model.outcome import Failed
from gristmill.model.pool import PoolStats

T = TypeVar("T")


_MAX_SIZES = 64
_BATCH_POINT = "gristmill_batch"


class PostgresBackend:
    """See ``Backend``.

    Args:
        target: A URL, or an ``asyncpg.Pool``.
        settings: Of the pool, for a URL.
        name: The label of its metrics.
    """

    def __init__(self, target: Any, settings: PoolSettings, name: str) -> None:
        self._name = name
        self._settings = settings
        self._counts = PoolCounts()
        self._connections = Connections(target, settings, self._counts)
        self.uncopied: set[Any] = set()
        self._sizes: OrderedDict[tuple[Any, ...], None] = OrderedDict()

    async def table(self, name: TableName, joined: Any) -> Table:
        """Look at a table; see ``Backend.table``."""
        return await self._tried(lambda session: self._inspected(session, name, joined), joined)

    async def _inspected(self, session: Session, name: TableName, joined: Any) -> Table:
        is_own = self._connections.is_own and joined is None
        try:
            return await inspect(session.connection, name, is_own=is_own)
        except EVERY as error:
            raise sorted_error(error) from error

    async def select(
        self, table: Table, columns: Sequence[str], key: Sequence[str], keys: Sequence[Any], joined: Any
    ) -> list[tuple[Any, Sequence[Any]]]:
        """Look rows up; see ``Backend.select``."""
        sql = selection(table, columns, key)
        split = [list(each) for each in zip(*keys, strict=True)] if len(key) > 1 else [list(keys)]
        given = [adapted(table.columns[name], values) for name, values in zip(key, split, strict=True)]
        places = json_readers([table.columns[name] for name in (*key, *columns)])

        async def look(session: Session) -> list[tuple[Any, Sequence[Any]]]:
            rows = await (session.fetch(sql, given) if joined is None else session.fetch_safely(sql, given))
            found = [with_json(row, places) for row in rows] if places else list(map(tuple, rows))
            width = len(key)
            return [(row[0] if width == 1 else tuple(row[:width]), row[width:]) for row in found]

        return await self._tried(look, joined)

    async def write(self, work: Work, joined: Any) -> Sequence[Sequence[Stored]]:
        """Do *work*; see ``Backend.write``."""
        return await self._tried(lambda session: _Writing(self, session, work, joined).run(), joined)

    async def _tried(self, step: Callable[[Session], Awaitable[T]], joined: Any) -> T:
        """Do *step*, again if the transaction was interrupted and nothing of it is stored."""

        async def once() -> T:
            async with self._session(joined) as session:
                return await step(session)

        return await tried(once, name=self._name, is_joined=joined is not None)

    @asynccontextmanager
    async def _session(self, joined: Any) -> AsyncIterator[Session]:
        if joined is None:
            async with self._connections.acquired() as connection:
                yield Session(connection, self._counts)
        elif not hasattr(joined, "copy_records_to_table"):
            raise other_database(joined, "PostgreSQL")
        else:
            async with turn(joined):
                yield Session(joined, self._counts)

    @property
    def may_copy_json(self) -> bool:
        """Whether connections are as the driver makes them."""
        return self._connections.is_own

    def recurs(self, *what: Any) -> bool:
        """Tell whether the same came a moment ago, so that a statement for it pays off."""
        if what in self._sizes:
            self._sizes.move_to_end(what)
            return True
        self._sizes[what] = None
        if len(self._sizes) > _MAX_SIZES:
            self._sizes.popitem(last=False)
        return False

    def stats(self) -> PoolStats:
        """Return how the connections stand."""
        pools = self._connections.pools
        size = self._settings.size if self._connections.is_own else pools[0].get_max_size()
        return self._counts.snapshot(
            self._name, size=size, open_now=sum(pool.get_size() for pool in pools if not pool.is_closing())
        )

    async def aclose(self) -> None:
        """Close the pool of this event loop."""
        await self._connections.close()


class _Writing:
    """One try to do one ``Work``."""

    def __init__(self, backend: PostgresBackend, session: Session, work: Work, joined: Any) -> None:
        self._session = session
        self._work = work
        self._is_joined = joined is not None
        self._checks_at_once = work.table.has_deferred
        self._fillings = [
            Filling(
                session,
                work.table,
                work.operation,
                group,
                may_copy=backend.may_copy_json and not self._is_joined,
                recurs=backend.recurs(work.table.name, work.operation, group.columns, len(group.indices)),
                uncopied=backend.uncopied,
            )
            for group in work.groups
        ]

    async def run(self) -> Sequence[Sequence[Stored]]:
        """Write the rows, by one statement alone if that does it."""
        if self._is_joined and not self._session.is_in_transaction:
            raise no_transaction()
        is_refused = False
        if self._may_go_alone():
            try:
                return [await self._committed(self._fillings[0](0, self._fillings[0].count))]
            except RowRefused as refused:
                if self._fillings[0].count == 1:
                    return [[refused.failed]]
                is_refused = True
        try:
            return await self._in_transaction(is_refused=is_refused)
        except RowRefused:  # by the commit: what this table brought about broke a constraint of another one
            self._checks_at_once = True
        try:
            return await self._in_transaction(is_refused=True)
        except RowRefused as refused:
            raise DatabaseFailed(
                "PostgreSQL refused the commit; nothing of this batch was stored"
            ) from refused

    def _may_go_alone(self) -> bool:
        table = self._work.table
        return (
            not self._is_joined
            and len(self._fillings) == 1
            and self._fillings[0].count <= self._fillings[0].most
            and not (table.may_ignore or table.has_deferred)
        )

    async def _in_transaction(self, *, is_refused: bool) -> Sequence[Sequence[Stored]]:
        await self._begin()
        parts: list[Sequence[Any]] = []
        for filling in self._fillings:
            stored: list[Any] = []
            for start in range(0, filling.count, filling.most):
                stop = min(start + filling.most, filling.count)
                stored += await isolate(self._session, filling, start, stop, known_bad=is_refused)
            parts.append(stored)
        if self._work.atomic and any(isinstance(each, Failed) for part in parts for each in part):
            await self._undo()
            parts = [[each if isinstance(each, Failed) else ROLLED_BACK for each in part] for part in parts]
        elif not self._is_joined:
            await self._committed(self._session.execute("COMMIT"))
        return parts

    async def _begin(self) -> None:
        if self._is_joined:
            if self._work.atomic:
                await self._session.execute(f"SAVEPOINT {_BATCH_POINT}")
        elif self._checks_at_once:  # checked row by row, or the commit would fail for all
            await self._session.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")
        else:
            await self._session.execute("BEGIN")

    async def _undo(self) -> None:
        point = _BATCH_POINT
        undo = f"ROLLBACK TO SAVEPOINT {point}; RELEASE SAVEPOINT {point}" if self._is_joined else "ROLLBACK"
        await self._session.execute(undo)

    async def _committed(self, commit: Any) -> Any:
        """Await what ends in a commit; if its answer was lost, only what may be done twice is done again."""
        try:
            return await commit
        except Interrupted as interrupted:
            if interrupted.was_answered or self._work.operation.kind in ("upsert", "update"):
                raise
            raise Interrupted(
                CommitUnknown(
                    "the connection broke at the commit: the batch is stored as a whole, or not at all"
                ),
                is_lost=interrupted.is_lost,
                was_answered=False,
            ) from interrupted
