"""Between Python objects and the columns of a table; knows no database."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from keyword import iskeyword
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from gristmill.errors import ConfigurationError

R = TypeVar("R")

ReadRow: TypeAlias = Callable[[Any], tuple[Any, ...]]
ReadColumn: TypeAlias = Callable[[Sequence[Any]], list[Any]]


def field_names(kind: type) -> dict[str, str]:
    """Return the fields of a type of rows: the name, which is the column, -> the key its decoder reads.

    The two differ only where a Struct or a pydantic model renames a field.

    Raises:
        ConfigurationError: It is no msgspec Struct, dataclass, TypedDict or pydantic model.
    """
    if isinstance(kind, type):
        if issubclass(kind, msgspec.Struct):
            return {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
        if dataclasses.is_dataclass(kind):
            return {field.name: field.name for field in dataclasses.fields(kind)}
        if hasattr(kind, "model_validate"):
            return {name: _decoded_key(kind, name, field) for name, field in kind.model_fields.items()}  # type: ignore[attr-defined]  # pydantic, by its shape
        if typing.is_typeddict(kind):
            return {name: name for name in typing.get_type_hints(kind)}
    name = getattr(kind, "__name__", kind)
    raise ConfigurationError(
        f"rows must be msgspec Structs, dataclasses, pydantic models or dicts, not {name}"
    )


def _decoded_key(model: Any, name: str, field: Any) -> str:
    """Return the key by which a pydantic *model* reads a field; of several, the first that is a plain one."""
    if not model.model_config.get("validate_by_alias", True):
        return name
    alias = field.validation_alias or field.alias
    for choice in getattr(alias, "choices", (alias,)):
        if isinstance(choice, str):
            return choice
    return name


def row_reader(columns: Sequence[str], *, is_dict: bool) -> ReadRow:
    """Return what takes the values of *columns* out of a row, in this order."""
    if not columns:
        return lambda _row: ()
    get: Callable[[Any], Any] = itemgetter(*columns) if is_dict else attrgetter(*columns)
    if len(columns) == 1:
        return lambda row: (get(row),)
    return get


@lru_cache(maxsize=1024)
def column_reader(name: str, *, is_dict: bool) -> ReadColumn:
    """Return what takes the values of one column out of rows, as a list.

    Of objects it is compiled for the name: Python then keeps the place of the attribute beside the code,
    which is 3 times as fast as ``attrgetter``, and rows are many.
    """
    if is_dict:
        return lambda rows: [row[name] for row in rows]
    if not name.isidentifier() or iskeyword(name):  # made by a function that makes types
        get = attrgetter(name)
        return lambda rows: list(map(get, rows))
    found: ReadColumn = eval(f"lambda rows: [row.{name} for row in rows]", {})  # noqa: S307 - an identifier
    return found


def as_scalar(value: Any) -> Any:
    """Return how JSON writes a value SQL has no type for: ISO 8601 for times, text for UUIDs.

    Raises:
        TypeError: It is no date, time, duration, UUID, Decimal or Enum of such values.
    """
    if isinstance(value, date | time | timedelta | UUID | Decimal | Enum):
        scalar = msgspec.to_builtins(value)
        if not isinstance(scalar, list | dict):  # the value of an Enum may be anything
            return scalar
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored")


class ResultBuilder(Generic[R]):
    """Makes what a caller gets of a stored row: a value, a dict of the columns asked for, or an object.

    Args:
        returning: The name of a column, names of columns, or a Struct,
            dataclass, TypedDict or pydantic model whose fields are columns. Objects are validated:
            text becomes the datetime or UUID, 0 and 1 the bool of the field.

    Raises:
        ConfigurationError: No column, or no such type.

    Attributes:
        columns: Whose values results are made of.
        kind: What they are objects of; None where they are none.
    """

    def __init__(self, returning: str | Sequence[str] | type[R]) -> None:
        self.columns: tuple[str, ...]
        self._keys: tuple[str, ...]
        self._convert: Callable[[dict[str, Any]], Any] | None
        self._many: Callable[[list[dict[str, Any]]], list[Any]] | None
        self._is_bare = isinstance(returning, str)
        self.kind: type[R] | None = None
        if isinstance(returning, str):
            self.columns = self._keys = (returning,) if returning else ()
            self._convert = self._many = None
        elif isinstance(returning, Sequence):
            self.columns = self._keys = tuple(returning)
            self._convert = None
            self._many = lambda entries: entries
        else:
            self.kind = returning
            names = field_names(returning)
            self.columns, self._keys = tuple(names), tuple(names.values())
            self._convert = _converter(returning)
            is_model = hasattr(returning, "model_validate")
            self._many = None if is_model else lambda rows: msgspec.convert(rows, listed, strict=False)
            listed = list[returning]  # type: ignore[valid-type]  # a type at run time
        if not self.columns:
            raise ConfigurationError("returning must name at least one column, such as the key")

    def build(self, values: Sequence[Any]) -> R:
        """Return the result made of the values of ``columns``, in their order.

        Raises:
            ConfigurationError: They do not fit the type asked for; the text
                names the column and the types, never a value.
        """
        if self._is_bare:
            return typing.cast("R", values[0])
        entries = dict(zip(self._keys, values, strict=True))
        if self._convert is None:
            return typing.cast("R", entries)
        try:
            return typing.cast("R", self._convert(entries))
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"a stored row does not fit the type of `returning`: {error}") from error
        except ValueError as error:
            raise ConfigurationError("a stored row does not fit the type of `returning`") from error

    def build_all(self, rows: Sequence[Sequence[Any]]) -> list[R]:
        """Return the results of many rows, in one conversion where the type allows it; see ``build``."""
        if self._is_bare:
            return [row[0] for row in rows]
        if self._many is None:
            return [self.build(row) for row in rows]
        entries = _entries(self._keys, rows)
        try:
            return typing.cast("list[R]", self._many(entries))
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"a stored row does not fit the type of `returning`: {error}") from error


def _entries(keys: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return *rows* as dicts; a display is 5 times as fast as ``dict(zip(...))``, and rows are many."""
    match keys:
        case (a,):
            return [{a: row[0]} for row in rows]
        case (a, b):
            return [{a: row[0], b: row[1]} for row in rows]
        case (a, b, c):
            return [{a: row[0], b: row[1], c: row[2]} for row in rows]
        case _:
            return [dict(zip(keys, row)) for row in rows]  # noqa: B905 - strict costs as much again


def _converter(kind: type) -> Callable[[dict[str, Any]], Any]:
    validate: Callable[[dict[str, Any]], Any] | None = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate
    return lambda entries: msgspec.convert(entries, kind, strict=False)
