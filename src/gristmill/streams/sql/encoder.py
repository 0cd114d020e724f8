"""How workers write results for a table: the same for every database, but for the bytes of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from gristmill.errors import ConfigurationError
from gristmill.streams.sql.fields import Group
from gristmill.streams.sql.parts import Part, dump_parts, groups_of, indices_of

WriteRows: TypeAlias = Callable[[Sequence[str], Sequence[Sequence[Any]]], bytes]
"""Given the names of columns, and rows of values in their order."""


class TableRecipe:
    """What recipes of encoders for tables have in common."""

    @property
    def needs_layout(self) -> bool:
        """Never: the table has its columns."""
        return False

    def column_encoder(self) -> NoReturn:
        """Refuse columns.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "a table takes rows: let the handler return dicts or objects, not record batches"
        )


class TableEncoder:
    """Writes rows as parts, grouped by their columns.

    Args:
        table: For people.
        known: The columns that can be written.
        is_order_kept: Whether a later row may not be written before an earlier one.
        write: Makes the bytes of rows; whatever it raises is about one of them.
    """

    def __init__(self, table: str, known: Iterable[str], write: WriteRows, *, is_order_kept: bool) -> None:
        self._table = table
        self._known = frozenset(known)
        self._write = write
        self._is_order_kept = is_order_kept

    @property
    def is_joinable(self) -> bool:
        """A body has its parts counted."""
        return False

    def layout(self, results: Sequence[Any]) -> bytes | None:  # noqa: ARG002 - the table has it
        """Return nothing."""
        return None

    def encode(
        self,
        results: Sequence[Any],
        layout: bytes | None,  # noqa: ARG002 - as above
    ) -> tuple[bytes, Mapping[int, str]]:
        """Return the body, and index -> why of results that cannot be written."""
        groups, bad = groups_of(results, self._known, self._table, is_order_kept=self._is_order_kept)
        parts = [self._part(group, len(results), bad) for group in groups]
        return dump_parts([part for part in parts if part.count]), bad

    def _part(self, group: Group, total: int, bad: dict[int, str]) -> Part:
        try:
            data = self._write(group.columns, group.rows)
        except Exception:  # noqa: BLE001 - one of them; it is said of that one
            group = self._without_bad(group, bad)
            data = self._write(group.columns, group.rows)
        return Part(columns=group.columns, indices=indices_of(group, total), count=len(group.rows), data=data)

    def _without_bad(self, group: Group, bad: dict[int, str]) -> Group:
        kept = Group(group.columns, [], [])
        for index, row in zip(group.indices, group.rows, strict=True):
            try:
                self._write(group.columns, [row])
            except Exception as error:  # noqa: BLE001 - a hook may raise what it likes
                bad[index] = f"the result cannot be written to the table: {error}"
            else:
                kept.indices.append(index)
                kept.rows.append(row)
        return kept
