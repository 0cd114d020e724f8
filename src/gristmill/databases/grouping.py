"""Items as rows of a table: which columns they have, grouped by them, one row a key; pure."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gristmill.databases.operation import Group, Operation
from gristmill.databases.rows import column_reader, field_names
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError
from gristmill.model.outcome import Failed

_Get = Callable[[Any], Any]
_MAX_SHAPES = 256  # dicts from outside may come with any set of keys


class Grouper:
    """Sorts items into groups of rows with the same columns.

    Args:
        table: Where they go.
        only: Fields to use; None: all of them.
    """

    def __init__(self, table: Table, only: tuple[str, ...] | None) -> None:
        self._table = table
        self._only = only
        self._shapes: dict[object, tuple[tuple[str, ...], bool] | Failed] = {}
        if only is not None:
            table.check(only, "columns")

    def group(self, items: Sequence[Any], operation: Operation) -> tuple[list[Group], dict[int, Failed]]:
        """Return *items* as groups, and index -> why of those that cannot be rows.

        Raises:
            ConfigurationError: A type of items does not fit the table.
        """
        bad: dict[int, Failed] = {}
        groups: list[Group] = []
        for shape, indices in _by_shape(items):
            rows = items if len(indices) == len(items) else [items[index] for index in indices]
            if operation.kind == "delete" and not isinstance(shape, tuple) and not _has_fields(shape):
                groups += _key_groups(rows, indices, operation.key, bad)
                continue
            found = self._columns(shape, rows[0], operation)
            if isinstance(found, Failed):
                bad.update(dict.fromkeys(indices, found))
                continue
            columns, may_be_unset = found
            is_dict = isinstance(shape, tuple)
            values = [column_reader(name, is_dict=is_dict)(rows) for name in columns]
            group = Group(columns, indices, values)
            for each in _without_unset(group) if may_be_unset else [group]:
                if computed := self._computed(each.columns, operation):
                    text = f"the database computes {', '.join(computed)}: leave it out"
                    bad.update(dict.fromkeys(each.indices, Failed(text, "unknown_column")))
                else:
                    groups.append(each)
        return groups, bad

    def _computed(self, columns: Sequence[str], operation: Operation) -> list[str]:
        """Return which of *columns* cannot be written; those of the key are only compared."""
        known = self._table.columns
        return [name for name in columns if known[name].is_generated and name not in operation.key]

    def _columns(
        self, shape: object, row: Any, operation: Operation
    ) -> tuple[tuple[str, ...], bool] | Failed:
        wanted = (shape, operation.kind, operation.key)
        found = self._shapes.get(wanted)
        if found is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            found = (
                self._dict_columns(row, operation)
                if isinstance(shape, tuple)
                else self._type_columns(type(row), operation)
            )
            self._shapes[wanted] = found
        return found

    def _dict_columns(
        self, row: dict[str, Any], operation: Operation
    ) -> tuple[tuple[str, ...], bool] | Failed:
        allowed = self._table.writable if self._only is None else self._only
        if operation.kind != "insert":
            missing = [name for name in operation.key if name not in row]
            if missing:
                return Failed(f"the key is missing: {', '.join(missing)}", "missing_key")
            allowed = (*allowed, *operation.key)
        if operation.kind == "delete":
            return operation.key, False
        if any(name not in allowed for name in row):
            return Failed(f"unknown columns; known are {', '.join(dict.fromkeys(allowed))}", "unknown_column")
        return tuple(row), False

    def _type_columns(self, kind: type, operation: Operation) -> tuple[tuple[str, ...], bool]:
        fields = tuple(field_names(kind))
        columns = fields
        if self._only is not None:
            missing = [name for name in self._only if name not in fields]
            if missing:
                raise ConfigurationError(
                    f"columns= names what {kind.__name__} does not have: {', '.join(missing)}; "
                    f"it has {', '.join(fields)}"
                )
            columns = self._only
        keys = [] if operation.kind == "insert" else [name for name in operation.key if name not in columns]
        absent = [name for name in keys if name not in fields]
        if absent:
            raise ConfigurationError(f"{kind.__name__} has no field {', '.join(absent)}, which is in the key")
        if operation.kind == "delete":
            return operation.key, False
        self._table.check(columns, f"fields of {kind.__name__}", "; pass columns= to use only some")
        may_be_unset = issubclass(kind, msgspec.Struct) and _may_be_unset(kind)
        if not may_be_unset and (computed := self._computed(columns, operation)):
            raise ConfigurationError(
                f"fields of {kind.__name__} that the database computes: {', '.join(computed)}; "
                "pass columns= to use only the others, or make them msgspec.UNSET"
            )
        return (*columns, *keys), may_be_unset


def _by_shape(items: Sequence[Any]) -> list[tuple[object, Sequence[int]]]:
    """Return the shapes of *items*, which are types, or the keys of dicts, and where each occurs."""
    kinds = set(map(type, items))
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if not issubclass(kind, dict):
            return [(kind, range(len(items)))]
    found: dict[object, list[int]] = {}
    known: dict[object, object] = {}  # the keys of dicts in any order -> in that in which they came first
    firsts: dict[object, object] = {}
    for index, item in enumerate(items):
        shape: object = tuple(item) if isinstance(item, dict) else type(item)
        if shape not in known:
            same = frozenset(shape) if isinstance(shape, tuple) else shape
            known[shape] = firsts.setdefault(same, shape)
        found.setdefault(known[shape], []).append(index)
    return list(found.items())


def _has_fields(shape: object) -> bool:
    try:
        field_names(typing.cast("type", shape))
    except ConfigurationError:
        return False
    return True


def _key_groups(
    keys: Sequence[Any], indices: Sequence[int], columns: tuple[str, ...], bad: dict[int, Failed]
) -> list[Group]:
    """Return plain keys as rows: values, or tuples for a key of several columns."""
    if len(columns) == 1:
        return [Group(columns, indices, [list(keys)])]
    fit = [
        place for place, key in enumerate(keys) if isinstance(key, tuple | list) and len(key) == len(columns)
    ]
    wrong = Failed(f"a key is a tuple of {', '.join(columns)}", "missing_key")
    bad.update(dict.fromkeys(set(indices) - {indices[place] for place in fit}, wrong))
    values = [[keys[place][number] for place in fit] for number in range(len(columns))]
    return [Group(columns, [indices[place] for place in fit], values)] if fit else []


def _may_be_unset(kind: type[msgspec.Struct]) -> bool:
    return any(
        field.type is msgspec.UnsetType or msgspec.UnsetType in typing.get_args(field.type)
        for field in msgspec.structs.fields(kind)
    )


def _without_unset(group: Group) -> list[Group]:
    """Split *group* by the fields that are set: an UNSET one is left to the table's default."""
    by_columns: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(zip(*group.values, strict=True)):
        kept = tuple(number for number, value in enumerate(row) if value is not msgspec.UNSET)
        by_columns.setdefault(kept, []).append(place)
    return [
        Group(
            tuple(group.columns[number] for number in numbers),
            [group.indices[place] for place in places],
            [[group.values[number][place] for place in places] for number in numbers],
        )
        for numbers, places in by_columns.items()
    ]


def one_row_a_key(groups: Sequence[Group], key: tuple[str, ...]) -> tuple[list[Group], dict[int, int]]:
    """Make one row of those with the same key, and sort rows by their keys.

    Of each column the last value counts: what one of them leaves out, an
    earlier one may have. A statement may touch a row once only (PostgreSQL refuses a second time).
    The order is that in which locks are taken: batches that write the same
    rows at the same time take them alike, and so do not wait for each other
    in a circle. A key with a NULL in it equals none.

    Returns:
        The groups, and index -> index of the row that replaced it.
    """
    last: dict[Any, int] = {}
    keyed: list[list[tuple[Any, ...]]] = []
    for group in groups:
        columns = [group.values[group.columns.index(name)] for name in key if name in group.columns]
        keys = list(zip(*columns, strict=True)) if len(columns) == len(key) else [()] * len(group.indices)
        keyed.append(keys)
        for one, index in zip(keys, group.indices, strict=True):
            if one and None not in one and _is_hashable(one) and last.get(one, -1) < index:
                last[one] = index
    replaced: dict[int, int] = {}
    kept: list[Group] = []
    for group, keys in zip(groups, keyed, strict=True):
        places = []
        for place, (one, index) in enumerate(zip(keys, group.indices, strict=True)):
            winner = last.get(one, index) if _is_hashable(one) else index
            if winner == index:
                places.append(place)
            else:
                replaced[index] = winner
        if places:
            kept.append(group.kept(_sorted(places, keys)))
    return _with_what_others_have(groups, kept, replaced), replaced


def _with_what_others_have(
    groups: Sequence[Group], kept: list[Group], replaced: dict[int, int]
) -> list[Group]:
    """Return *kept* where rows also have the columns of those that they replaced, in groups of their own."""
    if len(groups) == 1 or not replaced:
        return kept
    merged: dict[int, dict[str, Any]] = {winner: {} for winner in replaced.values()}
    rows: dict[int, tuple[Group, int]] = {
        index: (group, place) for group in groups for place, index in enumerate(group.indices)
    }
    for index in sorted(rows):
        row = merged.get(replaced.get(index, index))
        if row is not None:
            group, place = rows[index]
            row.update((name, group.values[number][place]) for number, name in enumerate(group.columns))
    wider = {index for index, row in merged.items() if len(row) > len(rows[index][0].columns)}
    left = [
        group.kept([place for place, index in enumerate(group.indices) if index not in wider])
        for group in kept
    ]
    made: dict[tuple[str, ...], list[int]] = {}
    for index in sorted(wider):
        made.setdefault(tuple(sorted(merged[index])), []).append(index)
    added = [
        Group(columns, indices, [[merged[index][name] for index in indices] for name in columns])
        for columns, indices in made.items()
    ]
    return [group for group in left if group.indices] + added


def _sorted(places: list[int], keys: list[tuple[Any, ...]]) -> list[int]:
    try:
        return sorted(places, key=keys.__getitem__)
    except TypeError:  # keys that have no order: NULL among them, or of different types
        return places


def _is_hashable(key: tuple[Any, ...]) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
