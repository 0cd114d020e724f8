"""A query or a table as a source: read by the driver, in order, and sent to the workers chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.checkpoint import Checkpoint, SourceMark, gaps
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.typed_rows import converter
from gristmill.streams.sources.protocol import BadRow, Place, Rows
from gristmill.streams.sql.reading import Feed, Reading, dump_rows, has_order, load_rows

_FIRST = 256
"""Rows of the first chunk, before it is known how many bytes one has."""
_UNKNOWN = 1 << 62


class SqlSource:
    """The rows of a query or a table.

    A table is read in the order of its key, page by page, and a run is
    resumed after the key of the last row (keyset pagination). A query is read
    by a cursor in one transaction, so that it sees one state of the database,
    and a run is resumed by running it again and passing over what is done;
    that is only right if its order is fixed, so a query without ORDER BY
    cannot be resumed.

    Args:
        reading: Of the query or the table.
        name: The database, and the table if it is one, without a password.
        query: The text of the query; None for a table.
    """

    def __init__(self, reading: Reading, name: str, query: str | None) -> None:
        self.names: Sequence[str] = [name]
        self.total: int | None = None
        self.options: Mapping[str, Any] = {} if query is None else {"query": query}
        self._reading = reading
        self._query = query

    @property
    def columns(self) -> Sequence[str] | None:
        """The names of the columns."""
        return self._reading.columns

    def weight(self, checkpoint: Checkpoint) -> int:
        """Return how many rows are done; each weighs 1."""
        return sum(each.end - each.start for each in checkpoint.done)

    def open(self) -> Sequence[SourceMark]:
        """Connect, and look at the columns."""
        self.total = self._reading.open()
        columns = self._reading.columns
        if twice := sorted({each for each in columns if list(columns).count(each) > 1}):
            raise SourceError(f"the query gives several columns named {twice[0]}; name each of them with AS")
        return [SourceMark(name=self.names[0])]

    def recipe(self) -> SqlRecipe:
        """Return what reads the chunks in workers."""
        return SqlRecipe(names=tuple(self._reading.columns))

    def plan(self, checkpoint: Checkpoint, size: Callable[[], int]) -> Iterator[Chunk]:
        """Yield the chunks that are left."""
        if checkpoint.source:
            return
        done = checkpoint.done
        if done and self._query is not None and not has_order(self._query):
            raise ConfigurationError(
                "the query has no ORDER BY, so its rows may come in another order now, and the run cannot go "
                "on: use --overwrite to begin anew; order the query by a unique key to be able to resume it"
            )
        number = checkpoint.next
        end = next((each.start for each in done if each.is_last), _UNKNOWN)
        for chunk in self._chunks(done, end, size):
            yield Chunk(
                number=number,
                source=0,
                start=chunk.start,
                end=chunk.end,
                is_last=chunk.is_last,
                weight=chunk.size,
                body=chunk.body,
                key=chunk.key,
            )
            number += 1

    def _chunks(self, done: Sequence[Any], end: int, size: Callable[[], int]) -> Iterator[Chunk]:
        keys = {each.end: each.key for each in done}
        feed: Feed | None = None
        at = 0
        row_bytes: float | None = None
        for start, stop in gaps(done, 0, 0, end):
            if feed is None or self._reading.has_keys:
                after = keys.get(start)
                feed = self._reading.feed(after)
                at = start if after is not None else 0
            feed.skip(start - at)
            at = start
            is_last = False
            while at < stop and not is_last:
                wanted = _FIRST if row_bytes is None else max(1, int(size() / row_bytes))
                wanted = min(wanted, stop - at)
                rows = feed.fetch(wanted)
                is_last = len(rows) < wanted
                if is_last and stop != _UNKNOWN:
                    raise SourceError(
                        f"{self.names[0]} has fewer rows than when the run began; use --overwrite to "
                        "begin anew"
                    )
                body = dump_rows(rows)
                if rows:
                    row_bytes = len(body) / len(rows)
                yield Chunk(
                    number=0, source=0, start=at, end=at + len(rows), is_last=is_last, body=body, key=feed.key
                )
                at += len(rows)

    def close(self) -> None:
        """Let go of the connection."""
        self._reading.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlRecipe:
    """Makes ``SqlReader`` in workers.

    Attributes:
        names: Of the columns.
    """

    names: tuple[str, ...]

    def rows(self, item_type: Any) -> SqlReader:
        """Return a reader of rows as *item_type*."""
        return SqlReader(self.names, item_type)

    def columns(self) -> Any:
        """Return a reader of columns."""
        raise ConfigurationError(
            "a database gives rows: let the handler take dicts or objects, not record batches"
        )


class SqlReader:
    """Makes dicts of rows, with the types of the database, or the objects a handler takes."""

    def __init__(self, columns: Sequence[str], item_type: Any) -> None:
        self._columns = columns
        self._convert = converter(item_type)

    def read(self, chunk: Chunk, batch: int) -> Iterator[Rows]:  # noqa: ARG002 - one block
        """Yield the rows of *chunk*."""
        columns = self._columns
        rows = load_rows(chunk.body or dump_rows([]))
        items: list[Any] = [dict(zip(columns, row, strict=True)) for row in rows]
        numbers: Sequence[int] = range(len(items))
        bad: dict[int, BadRow] = {}
        if self._convert is not None:
            items, numbers, bad = self._convert.all(items, numbers)
        yield Rows(
            items=items,
            numbers=numbers,
            bad=bad,
            total=len(rows),
            places=lambda: [
                Place(
                    source=chunk.source,
                    start=chunk.start + index,
                    end=chunk.start + index + 1,
                    raw=self._raw(row),
                )
                for index, row in enumerate(rows)
            ],
        )

    def _raw(self, row: tuple[Any, ...]) -> bytes:
        return msgspec.json.encode(dict(zip(self._columns, row, strict=True)), enc_hook=_text_of)

    def original(self, place: Place, item: Any) -> Any:
        """Return the row as JSON."""
        return item if place.raw is None else msgspec.Raw(place.raw)


def _text_of(value: Any) -> Any:
    """Return what the database's own types are in JSON: their text."""
    try:
        return encode_hook(value)
    except TypeError:
        return str(value)
