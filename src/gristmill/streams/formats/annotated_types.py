"""Arrow types of what the annotations of a handler say."""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
import typing
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from gristmill.codec import pydantic_models
from gristmill.streams.formats.csv_writing import tag_of

_KINDS: dict[Any, Any] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    dt.date: pa.date32(),
    dt.time: pa.time64("us"),
    dt.timedelta: pa.duration("us"),
    uuid.UUID: pa.string(),
}


def fields_of(result_type: Any) -> dict[str, Any] | None:
    """Return name -> Arrow type of the fields of *result_type*; the type None where only values tell.

    Returns:
        None if it has no fields that are known.
    """
    if not isinstance(result_type, type):
        return None
    is_known = (
        issubclass(result_type, msgspec.Struct)
        or dataclasses.is_dataclass(result_type)
        or pydantic_models.is_model(result_type)
        or (issubclass(result_type, dict) and result_type is not dict)
    )
    if not is_known:
        return None
    if pydantic_models.is_model(result_type):
        return {name: kind_of(hint) for name, hint in pydantic_models.written_fields(result_type).items()}
    hints = typing.get_type_hints(result_type)
    if issubclass(result_type, msgspec.Struct):
        return _fields_of_struct(result_type, hints)
    if dataclasses.is_dataclass(result_type):
        return {field.name: kind_of(hints[field.name]) for field in dataclasses.fields(result_type)}
    return {name: kind_of(hint) for name, hint in hints.items()}


def _fields_of_struct(kind: type[msgspec.Struct], hints: dict[str, Any]) -> dict[str, Any] | None:
    if kind.__struct_config__.array_like:
        return None
    tags = {name: _KINDS[type(tag)] for name, tag in tag_of(kind).items()}
    pairs = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    return tags | {written: kind_of(hints[name]) for name, written in pairs}


def kind_of(annotation: Any) -> Any:  # noqa: PLR0911 - one for each kind of annotation
    """Return the Arrow type of what is annotated so; None where only values tell."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        others = [each for each in arguments if each is not type(None)]
        return kind_of(others[0]) if len(others) == 1 else None
    if origin in (list, Sequence) and arguments:
        inner = kind_of(arguments[0])
        return None if inner is None else pa.list_(inner)
    if origin is typing.Literal:
        return _KINDS.get(type(arguments[0])) if len(set(map(type, arguments))) == 1 else None
    try:
        found = _KINDS.get(annotation)
    except TypeError:
        return None
    if found is not None:
        return found
    inner_fields = fields_of(annotation)
    if inner_fields and None not in inner_fields.values():
        return pa.struct(list(inner_fields.items()))
    return None
