"""Which columns a handler passed on as they were: the same memory, all rows, in order.

No value is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gristmill.batching.columnar import arrow
from gristmill.streams.worker.column_calls import Reply


def untouched(given: Any, replies: Sequence[Reply]) -> dict[str, str]:
    """Return column of the results -> column of *given* that it is.

    Args:
        given: All rows that the handler got, in one slice or several.
        replies: What it said to them.

    Returns:
        Nothing where a row failed or has no result. A column counts where it is the same one in all replies.
    """
    at = 0
    for reply in replies:
        if reply.batch is None or reply.failed or reply.first != at or reply.batch.num_rows != reply.asked:
            return {}
        at += reply.asked
    if not at or at != given.num_rows:
        return {}
    names = replies[0].batch.schema.names
    if any(reply.batch.schema.names != names for reply in replies):
        return {}
    known = {
        memory_of(column): (name, column.offset)
        for name, column in zip(given.schema.names, given.columns, strict=True)
        if not arrow().types.is_dictionary(column.type)  # whose memory does not tell its values
    }
    found: dict[str, str] = {}
    for index, name in enumerate(names):
        sources = {_source(known, reply, index) for reply in replies}
        source = sources.pop() if len(sources) == 1 else None
        if source is not None:
            found[name] = source
    return found


def goes_on(given: Any, replies: Sequence[Reply]) -> bool:
    """Tell whether all results begin with all columns of *given*, untouched and in order."""
    same = untouched(given, replies)
    names = given.schema.names
    results = replies[0].batch.schema.names if same else []
    is_clear = len(set(results)) == len(results)
    return is_clear and results[: len(names)] == names and all(same.get(name) == name for name in names)


def _source(known: dict[tuple[Any, ...], tuple[str, int]], reply: Reply, index: int) -> str | None:
    column = reply.batch.column(index)
    name, offset = known.get(memory_of(column), (None, 0))
    return name if column.offset == offset + reply.first else None


def memory_of(array: Any) -> tuple[Any, ...]:
    """Return what only an array of the same values, or a slice of it, has."""
    return (str(array.type), *(None if buffer is None else buffer.address for buffer in array.buffers()))
