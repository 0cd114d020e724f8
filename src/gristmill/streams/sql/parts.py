"""What a worker sends of a chunk to a table: encoded rows of the same columns, and which results they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gristmill.errors import ConfigurationError
from gristmill.streams.sql.fields import Group, fields_of, grouped, uniform


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Rows of the same columns.

    Attributes:
        columns: Their names.
        indices: Which results of the chunk they are; None: all, in their order.
        count: How many.
        data: The rows, as the database's own module writes them.
    """

    columns: tuple[str, ...]
    indices: list[int] | None
    count: int
    data: bytes

    def index(self, row: int) -> int:
        """Return which result of the chunk *row* of this part is."""
        return row if self.indices is None else self.indices[row]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Part])


def dump_parts(parts: Sequence[Part]) -> bytes:
    """Return *parts* as the body of a result."""
    return _ENCODER.encode(parts)


def load_parts(body: bytes | bytearray | memoryview) -> list[Part]:
    """Return the parts of a body."""
    return _DECODER.decode(body) if len(body) else []


def checked(result_type: Any, columns: Iterable[str], table: str) -> None:
    """Refuse a type of results with fields that are no columns of the table.

    Raises:
        ConfigurationError: There are some.
    """
    fields = fields_of(result_type)
    known = list(columns)
    missing = [] if fields is None else [name for name in fields.columns if name not in known]
    if missing:
        raise ConfigurationError(
            f"the results ({result_type.__name__}) have {', '.join(missing)}, and the table {table} has only "
            f"{', '.join(known)}: add the column to the table, or take the field out of the results"
        )


def groups_of(
    results: Sequence[Any], known: frozenset[str], table: str, *, is_order_kept: bool
) -> tuple[list[Group], dict[int, str]]:
    """Return *results* as groups of rows, and index -> why of those with columns the table does not have."""
    if not results:
        return [], {}
    one = uniform(results)
    groups = [one] if one is not None else grouped(results, is_order_kept=is_order_kept)
    bad: dict[int, str] = {}
    kept: list[Group] = []
    for group in groups:
        unknown = [name for name in group.columns if name not in known]
        if not unknown and group.columns:
            kept.append(group)
            continue
        why = (
            f"the result has {', '.join(unknown)}, and the table {table} has only {', '.join(sorted(known))}"
            if unknown
            else "the result has no columns"
        )
        bad.update(dict.fromkeys(group.indices, why))
    return kept, bad


def indices_of(group: Group, total: int) -> list[int] | None:
    """Return the indices of *group* as ``Part`` has them, *total* results being there."""
    return None if len(group.indices) == total else group.indices
