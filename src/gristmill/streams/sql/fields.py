"""Results as rows of a table: which columns they have, and how their values are taken out."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.results import encode_hook

Getter: TypeAlias = Callable[[Any], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of a type of results.

    Attributes:
        columns: The names they have in the table: as JSON would call them.
        attributes: The names they have in Python.
        types: Their annotations.
    """

    columns: tuple[str, ...]
    attributes: tuple[str, ...]
    types: tuple[Any, ...]


def fields_of(result_type: Any) -> Fields | None:
    """Return the fields that *result_type* declares; None if none (``dict``, ``Any``, a scalar)."""
    if not isinstance(result_type, type):
        return None
    if issubclass(result_type, msgspec.Struct):
        found = msgspec.structs.fields(result_type)
        return _fields([(each.encode_name, each.name, each.type) for each in found])
    if pydantic_models.is_model(result_type):
        models: Any = result_type
        return _fields(
            [
                (each.serialization_alias or each.alias or name, name, each.annotation)
                for name, each in models.model_fields.items()
            ]
        )
    if dataclasses.is_dataclass(result_type):
        hints = typing.get_type_hints(result_type)
        return _fields([(each.name, each.name, hints[each.name]) for each in dataclasses.fields(result_type)])
    if typing.is_typeddict(result_type):
        hints = typing.get_type_hints(result_type, include_extras=True)
        optional: frozenset[str] = getattr(result_type, "__optional_keys__", frozenset())
        return _fields(
            [
                (name, name, typing.NotRequired[hint] if name in optional else hint)
                for name, hint in hints.items()
            ]
        )
    return None


def _fields(found: list[tuple[str, str, Any]]) -> Fields:
    return Fields(
        columns=tuple(each[0] for each in found),
        attributes=tuple(each[1] for each in found),
        types=tuple(each[2] for each in found),
    )


@dataclass(slots=True)
class Group:
    """Rows of the same columns.

    Attributes:
        columns: Their names.
        indices: Which results they are.
        rows: Their values, in the order of the columns.
    """

    columns: tuple[str, ...]
    indices: list[int]
    rows: list[Sequence[Any]]


def grouped(results: Sequence[Any], *, is_order_kept: bool) -> list[Group]:
    """Return *results* as groups of rows with the same columns.

    A field of a dict that is missing is a column that is left to the
    table's default. So rows may have different columns, and a statement
    takes those with the same ones.

    Args:
        results: Dicts, objects with fields, or scalars, which are rows of one column ``value``.
        is_order_kept: Whether a row may not overtake another one.
    """
    groups: list[Group] = []
    by_columns: dict[tuple[str, ...], Group] = {}
    getters: dict[type, tuple[tuple[str, ...], Getter] | None] = {}
    for index, result in enumerate(results):
        kind = type(result)
        if kind not in getters:
            getters[kind] = _getter(kind)
        known = getters[kind]
        if known is None:
            columns, row = _loose(result)
        else:
            columns, row = known[0], known[1](result)
            if msgspec.UNSET in row:
                columns, row = _without_unset(columns, row)
        group = groups[-1] if is_order_kept and groups and groups[-1].columns == columns else None
        if group is None and not is_order_kept:
            group = by_columns.get(columns)
        if group is None:
            group = by_columns[columns] = Group(columns, [], [])
            groups.append(group)
        group.indices.append(index)
        group.rows.append(row)
    return groups


def uniform(results: Sequence[Any]) -> Group | None:
    """Return *results* as one group if they obviously are: dicts of the same keys; as fast as that goes."""
    if set(map(type, results)) != {dict}:
        return None
    columns = tuple(results[0])
    if set(map(len, results)) != {len(columns)} or not columns or set(map(type, columns)) != {str}:
        return None
    get: Getter = itemgetter(*columns) if len(columns) > 1 else _single(itemgetter(columns[0]))
    try:
        return Group(columns, list(range(len(results))), list(map(get, results)))
    except KeyError:
        return None


def _getter(kind: type) -> tuple[tuple[str, ...], Getter] | None:
    fields = None if issubclass(kind, dict) else fields_of(kind)
    if fields is None or not fields.columns:
        return None
    names = fields.attributes
    return fields.columns, attrgetter(*names) if len(names) > 1 else _single(attrgetter(names[0]))


def _single(get: Callable[[Any], Any]) -> Getter:
    return lambda each: (get(each),)


def _loose(result: Any) -> tuple[tuple[str, ...], Sequence[Any]]:
    if not isinstance(result, dict):
        try:
            plain = msgspec.to_builtins(result, enc_hook=encode_hook, builtin_types=(bytes, bytearray))
        except Exception:  # noqa: BLE001 - it is told of this one, as a column that is none or cannot be written
            plain = None
        result = plain if isinstance(plain, dict) else {"value": result}
    return tuple(map(str, result)), tuple(result.values())


def _without_unset(columns: tuple[str, ...], row: Sequence[Any]) -> tuple[tuple[str, ...], Sequence[Any]]:
    kept = [index for index, value in enumerate(row) if value is not msgspec.UNSET]
    return tuple(columns[index] for index in kept), tuple(row[index] for index in kept)
