"""One connection that writes rows: statements, the savepoint, and the transaction around them."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from gristmill.databases.faults import RowRefused
from gristmill.databases.operation import IGNORED, NOT_FOUND, Group, Operation, Stored
from gristmill.databases.postgres.copy_text import CopyText, NoText, copy_text
from gristmill.databases.postgres.errors import (
    EVERY,
    NOT_COPIED,
    NoCopy,
    is_no_copy,
    not_copied,
    sorted_error,
)
from gristmill.databases.postgres.joining import joined, may_join
from gristmill.databases.postgres.statements import Form, choose, most_rows, selection, statement
from gristmill.databases.postgres.values import adapted, json_readers, with_json
from gristmill.databases.settings import PoolCounts
from gristmill.databases.slugs import refusal
from gristmill.databases.table import Family, Table

_POINT = "gristmill_rows"


class Session:
    """Statements on a connection, counted, with their errors sorted.

    Args:
        connection: Of asyncpg.
        counts: To count round trips in.
    """

    def __init__(self, connection: Any, counts: PoolCounts) -> None:
        self.connection = connection
        self._counts = counts

    @property
    def is_in_transaction(self) -> bool:
        """Whether one is open; a connection that is closed tells it at the next statement."""
        return bool(self.connection.is_closed() or self.connection.is_in_transaction())

    async def execute(self, sql: str, values: Iterable[Any] = (), columns: Sequence[str] = ()) -> str:
        """Run a statement and return its tag; *columns* are those of *values*, over and over."""
        self._counts.round_trips += 1
        try:
            return str(await self.connection.execute(sql, *values))
        except EVERY as error:
            raise sorted_error(error, columns) from error

    async def fetch(self, sql: str, values: Iterable[Any] = (), columns: Sequence[str] = ()) -> list[Any]:
        """Run a statement and return its rows; see ``execute``."""
        self._counts.round_trips += 1
        try:
            rows: list[Any] = await self.connection.fetch(sql, *values)
        except EVERY as error:
            raise sorted_error(error, columns) from error
        return rows

    async def fetch_safely(self, sql: str, values: Iterable[Any]) -> list[Any]:
        """Do as ``fetch`` in the transaction of a caller, if any, which outlasts a value that is refused."""
        if not self.is_in_transaction:
            return await self.fetch(sql, values)
        await self.savepoint()
        try:
            rows = await self.fetch(sql, values)
        except RowRefused as refused:
            if refused.is_sent:
                await self.roll_back_to()
            await self.release()
            raise
        await self.release()
        return rows

    async def copy(self, table: Table, columns: Sequence[str], values: Sequence[Any]) -> str:
        """Send rows, a column of *values* at a time, by COPY and return its tag.

        Raises:
            NoCopy: A type of theirs cannot be sent so.
        """
        return await self._copied(
            self.connection.copy_records_to_table(
                table.name.table,
                schema_name=table.name.schema,
                columns=columns,
                records=zip(*values, strict=True),
            )
        )

    async def copy_text(self, table: Table, columns: Sequence[str], text: CopyText) -> str:
        """Send rows that have a text by COPY and return its tag."""
        return await self._copied(
            self.connection.copy_to_table(
                table.name.table,
                schema_name=table.name.schema,
                columns=columns,
                source=text,
                encoding="UTF8",  # whatever that of the connection is
            )
        )

    async def _copied(self, copy: Awaitable[str]) -> str:
        self._counts.round_trips += 1
        try:
            return str(await copy)
        except EVERY as error:
            if is_no_copy(error):
                raise NoCopy from error
            raise sorted_error(error) from error
        except NOT_COPIED as error:
            raise not_copied(error) from error

    async def savepoint(self) -> None:
        """Set the savepoint."""
        await self.execute(f"SAVEPOINT {_POINT}")

    async def roll_back_to(self) -> None:
        """Undo what was done since; it stays set."""
        await self.execute(f"ROLLBACK TO SAVEPOINT {_POINT}")

    async def renew(self) -> None:
        """Keep what was done since, and set it anew."""
        await self.execute(f"RELEASE SAVEPOINT {_POINT}; SAVEPOINT {_POINT}")

    async def release(self) -> None:
        """Keep what was done since, and give it up."""
        await self.execute(f"RELEASE SAVEPOINT {_POINT}")


class Filling:
    """Writes the rows of one group, any stretch of them by one statement.

    Args:
        session: The connection.
        table: Where.
        operation: What.
        group: The rows.
        may_copy: Whether the connection's codecs are known to be the driver's own.
        recurs: Whether a batch of as many rows came before.
        uncopied: Tables and columns that were found not to go by COPY; added to.
    """

    def __init__(
        self,
        session: Session,
        table: Table,
        operation: Operation,
        group: Group,
        *,
        may_copy: bool,
        recurs: bool,
        uncopied: set[Any],
    ) -> None:
        self._session = session
        self._table = table
        self._operation = operation
        self._columns = group.columns
        self._values: Sequence[Sequence[Any]] = group.values
        self._is_adapted = False
        self._described = [table.columns[name] for name in group.columns]
        self._may_join = may_copy and all(map(may_join, self._described))
        if any(table.columns[name].family is Family.JSON for name in group.columns):
            self._adapt()
        self._may_copy = may_copy
        self._recurs = recurs
        self._uncopied = uncopied
        self._copied = (table.name, group.columns)
        self.count = len(group.indices)
        self._may_meet = operation.kind == "update" and any(
            not table.columns[name].is_exact for name in operation.key
        )
        self._json = json_readers([table.columns[name] for name in operation.returning])

    @property
    def most(self) -> int:
        """How many rows one statement takes."""
        return most_rows(self._form(self.count), self._columns)

    def _form(self, count: int) -> Form:
        form = choose(
            self._operation,
            self._table,
            self._columns,
            count,
            may_copy=self._may_copy,
            may_join=self._may_join,
            recurs=self._recurs and count == self.count,
        )
        return "unnest" if form == "copy" and self._copied in self._uncopied else form

    def _adapt(self) -> None:
        """Bring the values into the form that the driver takes."""
        self._values = [
            adapted(column, values) for column, values in zip(self._described, self._values, strict=True)
        ]
        self._is_adapted = True

    async def __call__(self, start: int, stop: int) -> Sequence[Stored]:
        """Write rows ``start:stop``; see ``Attempt``.

        Most values need no other form, and to look for those that do costs as much as to encode them. So the
        driver is asked first: it refuses what it cannot encode before anything is sent.
        """
        if self._is_adapted:
            return await self._written(start, stop)
        try:
            return await self._written(start, stop)
        except RowRefused as refused:
            if refused.is_sent:
                raise
        self._adapt()
        return await self._written(start, stop)

    async def _written(self, start: int, stop: int) -> Sequence[Stored]:
        count = stop - start
        form = self._form(count)
        if form == "copy":
            return self._whole(await self._copy(start, stop), count)
        values = self._of(start, stop)
        given: Sequence[Any] = values or (count,)
        are_joined: tuple[bool, ...] = ()
        if form == "values":
            given = _row_by_row(values, count)
        elif self._may_copy:
            given, are_joined = self._joined(values, given)
        sql = statement(self._operation, self._table, self._columns, form, count, joined=are_joined)
        if self._operation.pairs_by_number:
            stored = self._paired(await self._session.fetch(sql, given, self._columns), count)
            if self._may_meet and count > 1 and 0 < stored.count(NOT_FOUND) < count:
                await self._check_missing([n for n, each in enumerate(stored) if each is NOT_FOUND], values)
            return stored
        if not self._operation.returning:
            tag = await self._session.execute(sql, given, self._columns)
            return self._whole(tag, count)
        rows = await self._session.fetch(sql, given, self._columns)
        if len(rows) != count:
            return self._short(len(rows), count)
        return [with_json(row, self._json) for row in rows] if self._json else rows

    def _of(self, start: int, stop: int) -> Sequence[Sequence[Any]]:
        if stop - start == self.count:
            return self._values
        return [column[start:stop] for column in self._values]

    async def _copy(self, start: int, stop: int) -> str:
        text = copy_text(self._described, self._of(start, stop)) if self._may_copy else None
        if text is not None:
            try:
                return await self._session.copy_text(self._table, self._columns, text)
            except NoText:  # found out in the middle, which has undone the COPY, and ended a transaction
                if self._session.is_in_transaction:
                    await self._session.roll_back_to()
        if not self._is_adapted:  # a value that does not fit would be refused in the middle only
            self._adapt()
        try:
            return await self._session.copy(self._table, self._columns, self._of(start, stop))
        except NoCopy as error:
            self._uncopied.add(self._copied)
            raise RowRefused(refusal("type_mismatch")) from error  # so it is tried again, by halves

    def _joined(
        self, values: Sequence[Sequence[Any]], given: Sequence[Any]
    ) -> tuple[Sequence[Any], tuple[bool, ...]]:
        """Join the columns that can be, and tell which they are."""
        texts = [joined(column, each) for column, each in zip(self._described, values, strict=True)]
        if not any(text is not None for text in texts):
            return given, ()
        chosen = [each if text is None else text for text, each in zip(texts, values, strict=True)]
        return chosen, tuple([text is not None for text in texts])

    async def _check_missing(self, places: list[int], values: Sequence[Sequence[Any]]) -> None:
        """Look whether items had no answer because others, by keys that are equal to the database, had it.

        Raises:
            RowRefused: They had: it takes a statement each, in their order.
        """
        key = self._operation.key
        keys = [[values[self._columns.index(name)][place] for place in places] for name in key]
        if await self._session.fetch(f"{selection(self._table, (), key)} LIMIT 1", keys, key):
            raise RowRefused(IGNORED)

    def _whole(self, tag: str, count: int) -> Sequence[Stored]:
        written = int(tag.rpartition(" ")[2])
        return [None] * count if written == count else self._short(written, count)

    def _short(self, written: int, count: int) -> Sequence[Stored]:
        """Say that a trigger left rows out, of one row; of several, which ones has to be found out."""
        if count > 1:
            raise RowRefused(IGNORED)
        return [IGNORED] * (count - written)

    def _paired(self, rows: Sequence[Any], count: int) -> list[Stored]:
        """Return the rows by the numbers they came with, from 1."""
        found: list[Stored] = [NOT_FOUND] * count
        answers = bool(self._operation.returning)
        for row in rows:
            number, *values = row
            if answers:
                found[number - 1] = with_json(values, self._json) if self._json else values
            else:
                found[number - 1] = None
        return found


def _row_by_row(columns: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """Return the values of *count* rows one after the other; half the time of ``chain`` over ``zip``."""
    width = len(columns)
    flat: list[Any] = [None] * (count * width)
    for number, values in enumerate(columns):
        flat[number::width] = values
    return flat
