"""Whether objects can be made of the rows of a table, told by their types before one is stored; pure."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from types import UnionType
from typing import Any, Literal, Union
from uuid import UUID

import msgspec

from gristmill.codec import pydantic_models
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError

_EXAMPLES: Mapping[type, tuple[Any, ...]] = {
    int: (1,),
    bool: (True,),
    float: (1.0, 1.5),
    Decimal: (Decimal(1),),
    bytes: (b"",),
    UUID: (UUID(int=0),),
    date: (date(2000, 1, 1),),
    datetime: (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1)),  # noqa: DTZ001 - of a column without
    time: (time(),),
    timedelta: (timedelta(1),),
    str: ("1", "true", "", "2000-01-01", "2000-01-01T00:00:00Z", "00:00:00", "P1D", str(UUID(int=0))),
}
"""The types that drivers return -> values of them: where none of these becomes a type, no other one does."""
_OF_PARTS = (list, tuple, set, frozenset, dict, msgspec.Struct)
_NO_VALUES = (type(None), msgspec.UnsetType)


def check_fits(kind: type, table: Table) -> None:
    """Refuse *kind* if no row of *table* can become an object of it; what is not certain is let through.

    Args:
        kind: A Struct, dataclass, TypedDict or pydantic model whose fields are columns.
        table: Of the rows.

    Raises:
        ConfigurationError: It names the fields and the types of their columns.
    """
    wrong = []
    for name, may_become in _fields(kind).items():
        column = table.columns.get(name)
        if column is not None and column.values is not None and not may_become(column.values):
            wrong.append(f"{name} ({column.type})")
    if wrong:
        raise ConfigurationError(
            f"no row of {table.name} fits the type of `returning`, {kind.__name__}: "
            f"a column is of another type than its field, {', '.join(wrong)}; nothing was stored"
        )


def _fields(kind: Any) -> dict[str, Callable[[type], bool]]:
    """Return the fields of *kind*, and for each what tells whether it takes values of a type."""
    if pydantic_models.is_model(kind):
        return {
            name: lambda values, takes=takes: takes(_EXAMPLES[values])  # type: ignore[misc]  # its default
            for name, takes in pydantic_models.takers(kind).items()
        }
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError, AttributeError):  # names that only its own function knows
        return {}
    return {name: partial(_may_become, hint) for name, hint in hints.items()}


def _may_become(annotation: Any, values: type) -> bool:
    if typing.get_origin(annotation) in (Literal, Union, UnionType):
        choices = typing.get_args(annotation)
        kinds = map(type, choices) if typing.get_origin(annotation) is Literal else choices
        return any(_may_become(each, values) for each in kinds)
    plain = typing.get_origin(annotation) or getattr(annotation, "__supertype__", annotation)
    if not isinstance(plain, type):
        return True
    if issubclass(plain, Enum):
        return any(_may_become(type(each.value), values) for each in plain)
    if plain in _EXAMPLES:
        return _converts(plain, values)
    return plain not in _NO_VALUES and not _is_of_parts(plain)


def _is_of_parts(kind: type) -> bool:
    return issubclass(kind, _OF_PARTS) or dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)


def _converts(kind: type, values: type) -> bool:
    return any(_converted(example, kind) for example in _EXAMPLES[values])


def _converted(value: Any, kind: type) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def value_type(names: Mapping[type, Sequence[str]], sql_type: str) -> type | None:
    """Return the type whose *names* have *sql_type*, or None."""
    return next((kind for kind, known in names.items() if sql_type in known), None)
