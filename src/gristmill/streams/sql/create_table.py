"""``CREATE TABLE`` for a type of results: proposed where the table is missing, run if that was asked for."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from gristmill.databases.names import TableName, quoted
from gristmill.streams.sql.address import Kind
from gristmill.streams.sql.fields import fields_of

_TYPES: Mapping[Any, tuple[str, str]] = {
    bool: ("boolean", "INTEGER"),
    int: ("bigint", "INTEGER"),
    float: ("double precision", "REAL"),
    str: ("text", "TEXT"),
    bytes: ("bytea", "BLOB"),
    bytearray: ("bytea", "BLOB"),
    Decimal: ("numeric", "TEXT"),
    datetime: ("timestamp with time zone", "TEXT"),
    date: ("date", "TEXT"),
    time: ("time", "TEXT"),
    timedelta: ("interval", "TEXT"),
    UUID: ("uuid", "TEXT"),
}
_JSON = ("jsonb", "TEXT")
_TEXT = ("text", "TEXT")


def create_table(kind: Kind, table: TableName, result_type: Any, keys: Sequence[str]) -> str | None:
    """Return the statement that makes *table* for results of *result_type*; None if the type has no fields.

    Args:
        kind: For which database.
        table: Its name.
        result_type: A Struct, dataclass, TypedDict or pydantic model.
        keys: The columns of the primary key, if there is to be one.
    """
    fields = fields_of(result_type)
    if fields is None or not fields.columns:
        return None
    lines = [
        f"  {quoted(name)} {_column(kind, annotation)}"
        for name, annotation in zip(fields.columns, fields.types, strict=True)
    ]
    if keys:
        lines.append(f"  PRIMARY KEY ({', '.join(map(quoted, keys))})")
    return f"CREATE TABLE {table.quoted()} (\n" + ",\n".join(lines) + "\n)"


def _column(kind: Kind, annotation: Any) -> str:
    inner, is_optional = _optional(_bare(annotation))
    is_optional = is_optional or typing.get_origin(annotation) is typing.NotRequired
    names = _names(inner)
    name = names[0] if kind == "postgresql" else names[1]
    return name if is_optional else f"{name} NOT NULL"


def _bare(annotation: Any) -> Any:
    """Return the type inside of Annotated, NotRequired and the like."""
    while typing.get_origin(annotation) in (typing.Annotated, typing.Required, typing.NotRequired):
        annotation = typing.get_args(annotation)[0]
    return annotation


def _optional(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, annotation in (Any, None)
    members = [each for each in typing.get_args(annotation) if getattr(each, "__name__", "") != "UnsetType"]
    rest = [_bare(each) for each in members if each is not type(None)]
    is_optional = len(rest) < len(typing.get_args(annotation))
    if len({_names(each) for each in rest}) == 1:
        return rest[0], is_optional
    return (float if set(rest) == {int, float} else Any), is_optional


def _names(annotation: Any) -> tuple[str, str]:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        kinds = {type(each) for each in typing.get_args(annotation)}
        return _TYPES.get(kinds.pop(), _TEXT) if len(kinds) == 1 else _TEXT
    if annotation in _TYPES:
        return _TYPES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        kinds = {type(each.value) for each in annotation}
        return _TYPES.get(kinds.pop(), _TEXT) if len(kinds) == 1 else _TEXT
    is_nested = fields_of(annotation) is not None
    if is_nested or (origin or annotation) in (list, dict, tuple, set, frozenset):
        return _JSON
    return _TEXT
