"""What is asked of a table: an insert, upsert, update or delete of many rows at once; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gristmill.databases.table import Table
from gristmill.model.outcome import Failed

Kind: TypeAlias = Literal["insert", "upsert", "update", "delete"]

Stored: TypeAlias = "Sequence[Any] | Failed | None"
"""Of one row: the values of ``Operation.returning``; None if none were asked for; or why it is not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is done with rows.

    Attributes:
        kind: Insert: new rows. Upsert: new, or over the one with the same key.
            Update and delete: the one with the same key.
        key: The columns that tell which row; empty for an insert.
        update: What an upsert or an update sets; None: every column of the
            item that is no part of the key.
        returning: The columns to answer with; empty for none.
    """

    kind: Kind
    key: tuple[str, ...] = ()
    update: tuple[str, ...] | None = None
    returning: tuple[str, ...] = ()

    @property
    def pairs_by_number(self) -> bool:
        """Whether rows may be missing in the answer, so each carries the number of its item."""
        return self.kind in ("update", "delete")

    def updated(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return what is set of an item that has *columns*; at least one.

        Where nothing is to be set, a column of the key is set to itself: that
        changes nothing, and makes RETURNING answer for the row that is there.
        """
        wanted = columns if self.update is None else [name for name in self.update if name in columns]
        return tuple(name for name in wanted if name not in self.key) or self.key[:1]


@dataclass(slots=True)
class Group:
    """Rows of the same columns.

    Attributes:
        columns: Their names.
        indices: Which items they are.
        values: One list a column, as long as *indices*.
    """

    columns: tuple[str, ...]
    indices: Sequence[int]
    values: list[list[Any]]

    def kept(self, places: Sequence[int]) -> Group:
        """Return the rows at *places*, in that order."""
        return Group(
            self.columns,
            [self.indices[place] for place in places],
            [[values[place] for place in places] for values in self.values],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One transaction's worth.

    Attributes:
        table: Where.
        operation: What.
        groups: The rows, each item at most once.
        atomic: Whether nothing is stored unless everything is.
    """

    table: Table
    operation: Operation
    groups: Sequence[Group]
    atomic: bool = False


NOT_FOUND = Failed("there is no row with this key", "not_found")
IGNORED = Failed("not stored: the table ignores such a row", "ignored")
ROLLED_BACK = Failed("not stored, because another row of its batch was refused", "rolled_back")
