"""A table of a database as a sink: rows and checkpoint in one transaction, and no two processes at once."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from gristmill.databases.names import TableName
from gristmill.errors import SinkError, SinkTaken
from gristmill.streams.checkpoint import Checkpoint, Identity, check_same
from gristmill.streams.chunk import Refusal, Result
from gristmill.streams.sinks.protocol import EncoderRecipe, RowsRefused
from gristmill.streams.sql.database import Away, Database
from gristmill.streams.sql.ledger import TABLE, Entry, job_of, read_entry
from gristmill.streams.sql.parts import Part, load_parts

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_NOTHING = msgspec.json.encode(Checkpoint())


class SqlSink:
    """Writes results as rows of a table.

    The rows of a commit and its checkpoint are one transaction, so the table
    and the ledger never disagree: whoever opens the run reads from the
    database where to go on. Opening raises the run's epoch, and a commit of an
    older epoch changes nothing (fencing). What was written since the last
    commit is kept, and is written again when the database was away; whether a
    commit went through whose answer was lost, the ledger tells.

    Args:
        database: Where the table is.
        name: The table's URL, without a password.
        table: Its name.
        options: What decides the output, besides the table.
        deadline: Seconds to try again while the database is away.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        table: TableName,
        *,
        options: Mapping[str, Any],
        deadline: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.options: Mapping[str, Any] = {"output table": table.table, **options}
        self.length = 0
        self.commit_seconds = database.commit_seconds
        self._database = database
        self._table = table
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._job = ""
        self._entry = Entry(identity=b"", checkpoint=b"", epoch=0, commits=0)
        self._settling: Entry | None = None
        self._pending: list[tuple[list[Part], frozenset[int]]] = []
        self._is_ready = False
        """The connection is ours, and all that is pending is written in its transaction."""

    def dead_letters(self, identity: Identity) -> str:
        """Return the name of a file for the dead letters, which no other run into the table has."""
        table = re.sub(r"[^\w.-]", "_", str(self._table))
        return f"{table}-{job_of(self._table.table, identity)[:8]}.dead.ndjson"

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers; call ``open`` first."""
        return self._database.recipe()

    def open(self, identity: Identity, *, overwrite: bool) -> Checkpoint | None:
        """Begin or resume; see ``Sink.open``. *overwrite* forgets the run; the rows it wrote stay."""
        self._job = job_of(self._table.table, identity)
        try:
            self._database.connect()
            self._database.prepare()
            found = self._database.entry(self._job)
            if found is not None and not overwrite:
                checkpoint = self._checkpoint_of(found, identity)
                if checkpoint.is_done:
                    return checkpoint
            mine = Entry(identity=msgspec.json.encode(identity), checkpoint=_NOTHING, epoch=0, commits=0)
            self._entry = self._database.claim(self._job, mine, reset=overwrite)
        except Away as away:
            raise SinkError(
                f"{self.name} cannot be reached: {away}; check that the server runs and the URL is right"
            ) from away
        checkpoint = self._checkpoint_of(self._entry, identity)  # as it is now that nobody else can commit
        self.length = checkpoint.out
        return None if self._entry.checkpoint == _NOTHING else checkpoint

    def _checkpoint_of(self, entry: Entry, identity: Identity) -> Checkpoint:
        place = f"{TABLE} beside {self.name}"
        before, checkpoint = read_entry(entry, place)
        check_same(before, identity, place)
        return checkpoint

    def write(self, result: Result) -> None:
        """Write the rows of *result*, in the transaction of the next commit."""
        parts = load_parts(result.body)
        if not parts:
            return
        refused = self._persist(lambda: self._insert(parts, result.refused))
        if refused:
            raise RowsRefused(refused)
        self._pending.append((parts, result.refused))
        self.length += sum(part.count for part in parts) - len(result.refused)

    def _insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        bad = self._database.insert(parts, refused)
        if bad and not self._pending:  # nothing to commit, so no lock is held until the rows come again
            self._database.roll_back()
            self._is_ready = False
        return bad

    def commit(self, checkpoint: Checkpoint) -> None:
        """Commit what was written, together with *checkpoint*."""
        self._settling = replace(
            self._entry, checkpoint=msgspec.json.encode(checkpoint), commits=self._entry.commits + 1
        )
        self._persist(self._settle)
        self._entry, self._settling = self._settling, None
        self._pending.clear()
        self._is_ready = False

    def finish(self, checkpoint: Checkpoint, layout: bytes | None) -> None:  # noqa: ARG002 - a table has its columns
        """Commit, for the last time."""
        self.commit(checkpoint)

    def _settle(self) -> None:
        mine = self._settling
        if mine is None or mine == self._entry:
            return
        if not self._database.settle(self._job, mine) and not self._was_settled():
            raise self._taken()

    def _was_settled(self) -> bool:
        """Tell whether a commit whose answer was lost went through.

        Raises:
            SinkTaken: The run is not ours any more.
        """
        found = self._database.entry(self._job)
        if found is None or found.epoch != self._entry.epoch:
            raise self._taken()
        return found == self._settling

    def _taken(self) -> SinkTaken:
        return SinkTaken(f"another process has gone on with this run into {self.name}; this one stops")

    def _persist(self, step: Callable[[], T]) -> T:
        """Do *step* in the transaction; while the database is away, try again, all that is pending first."""
        give_up_at = self._clock() + self._deadline
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._is_ready:
                    self._make_ready()
                return step()
            except Away as away:
                self._is_ready = False
                self._database.abandon()
                if self._clock() >= give_up_at:
                    raise SinkError(
                        f"{self.name} was away for {self._deadline:,.0f} seconds: {away}; what was "
                        "committed is safe. Run the same command again when it is back"
                    ) from away
            self._sleep(random.uniform(0, pause))  # noqa: S311 - jitter
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _make_ready(self) -> None:
        self._database.connect()
        if self._was_replaced():
            return
        self._database.begin()
        for parts, refused in self._pending:
            if bad := self._database.insert(parts, refused):
                why = next(iter(bad.values()))
                self._database.abandon()
                raise SinkError(
                    f"{self.name} was away, and now refuses rows it had taken before: {why.message}; run the "
                    "same command again: they will be in the dead-letter file"
                )
        self._is_ready = True

    def _was_replaced(self) -> bool:
        """Look, after the connection was lost, whether the run is ours, and whether a commit went through."""
        if not self._pending and self._settling is None:
            return False
        found = self._database.entry(self._job)
        if found is None or found.epoch != self._entry.epoch:
            raise self._taken()
        if self._settling is not None and found == self._settling:
            self._entry = found
            return True
        return False

    def close(self) -> None:
        """Let go of the connection, without a commit. Idempotent."""
        self._pending.clear()
        self._is_ready = False
        self._database.abandon()
