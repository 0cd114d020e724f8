"""JSON Schema of item and result types: msgspec's own, or what a pydantic model says of itself.

Knows no route and no handler. Every reference points into
``#/components/schemas``; what it points at comes back beside the schema, so
that a document can place it, rename it or write it in place.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from gristmill.errors import ConfigurationError
from gristmill.http.examples import example_of

__all__ = ["REF_PREFIX", "Definitions", "Direction", "Schema", "example_of", "item_schema"]

Schema: TypeAlias = dict[str, Any]
Definitions: TypeAlias = dict[str, Schema]
Direction: TypeAlias = Literal["in", "out"]

REF_PREFIX = "#/components/schemas/"

# An entry of a docstring's `Attributes:`; what is indented deeper goes on.
_ATTRIBUTE = re.compile(r"^ {4}(\w+)(?: \([^)]*\))?:(.*(?:\n(?: {5,}.*|$))*)", re.MULTILINE)

# Formats that msgspec leaves out because a naive time is not RFC 3339; both
# names are in the OpenAPI format registry. The key: must it have an offset?
_TIME_FORMATS: dict[type[inspect.Type], dict[bool | None, str]] = {
    inspect.DateTimeType: {None: "date-time", True: "date-time", False: "date-time-local"},
    inspect.TimeType: {None: "time", True: "time", False: "time-local"},
}


def item_schema(annotation: Any, direction: Direction = "in") -> tuple[Schema, Definitions]:
    """Return the JSON Schema (2020-12) of *annotation* and the named schemas it refers to.

    Args:
        annotation: A msgspec Struct, pydantic model, dataclass, TypedDict, enum,
            builtin, ``Literal``, union or container of these. ``Any``
            gives ``{}``, and a class of which nothing is known only its name.
        direction: ``"in"`` describes what is accepted, ``"out"`` what is
            sent. They differ for pydantic models only, such as by their
            computed fields.

    Returns:
        The schema, and name -> schema of its definitions. References read
        ``#/components/schemas/<name>``.

    Raises:
        ConfigurationError: No JSON value can be told to be of *annotation*; on the way in only.
    """
    definitions: Definitions = {}
    return _schema(annotation, direction, definitions), definitions


def _schema(annotation: Any, direction: Direction, definitions: Definitions) -> Schema:
    if _is_pydantic(annotation):
        return _pydantic_schema(annotation, direction, definitions)

    def of_unknown(part: Any) -> Schema:
        # Never an empty schema: msgspec takes that for no answer.
        if part is object:
            return {"title": "Any"}
        return (
            _pydantic_schema(part, direction, definitions) if _is_pydantic(part) else {"title": _name(part)}
        )

    try:
        (schema,), named = msgspec.json.schema_components(
            (annotation,), schema_hook=of_unknown, ref_template=REF_PREFIX + "{name}"
        )
    except (TypeError, NameError) as error:
        if get_origin(annotation) in (Union, types.UnionType):
            return {"anyOf": [_schema(part, direction, definitions) for part in get_args(annotation)]}
        if direction == "out":  # what JSON cannot tell apart can still be sent
            return {"title": _name(annotation)}
        raise ConfigurationError(
            f"{annotation!r} has no JSON Schema: {error}. Annotate the handler with a msgspec Struct, a "
            "pydantic model, a dataclass, a TypedDict, builtins or Any."
        ) from error
    for definition in named.values():
        _split_docstring(definition)
    definitions |= named
    _add_left_out(inspect.type_info(annotation), schema, definitions, set())
    return schema


def _split_docstring(schema: Schema) -> None:
    """Leave the prose of a class's docstring, and give each attribute's text to its property."""
    if "description" not in schema:
        return
    schema["description"] = cleandoc(schema["description"])
    prose, heading, attributes = schema["description"].partition("\nAttributes:\n")
    if not heading:
        return
    schema["description"] = prose.strip()
    attributes, *rest = re.split(r"\n(?=\S)", attributes, maxsplit=1)
    if rest:
        schema["description"] += "\n\n" + rest[0].strip()
    for name, text in _ATTRIBUTE.findall(attributes):
        part = schema.get("properties", {}).get(name)
        if isinstance(part, dict):
            part.setdefault("description", " ".join(text.split()))


def _name(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _is_pydantic(annotation: Any) -> bool:
    return isinstance(annotation, type) and callable(getattr(annotation, "model_json_schema", None))


def _pydantic_schema(model: Any, direction: Direction, definitions: Definitions) -> Schema:
    schema: Schema = model.model_json_schema(
        ref_template=REF_PREFIX + "{model}", mode="validation" if direction == "in" else "serialization"
    )
    definitions |= schema.pop("$defs", {})
    if "$ref" in schema:
        return schema
    name = model.__name__
    definitions[name] = schema
    return {"$ref": REF_PREFIX + name}


def _add_left_out(info: inspect.Type, schema: Schema, definitions: Definitions, seen: set[str]) -> None:
    """Walk *info* and the *schema* made from it side by side and add what msgspec leaves out."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF_PREFIX)
        if name in seen or name not in definitions:
            return
        seen.add(name)
        schema = definitions[name]
    formats = _TIME_FORMATS.get(type(info))
    if formats is not None:
        schema.setdefault("format", formats[info.tz])  # type: ignore[attr-defined]  # both time types have it
    if isinstance(info, inspect.DictType) and isinstance(info.key_type, inspect.IntType):
        schema["propertyNames"] = {"pattern": "^-?[0-9]+$"}
    for part, place in _parts(info, schema, definitions):
        if isinstance(place, dict):
            _add_left_out(part, place, definitions, seen)


def _parts(info: inspect.Type, schema: Schema, definitions: Definitions) -> list[tuple[inspect.Type, Any]]:
    """Pair the types inside *info* with the places inside *schema* that describe them."""
    pairs: Iterable[tuple[inspect.Type, Any]] = ()
    match info:
        case inspect.StructType(array_like=True):
            pairs = zip((field.type for field in info.fields), schema.get("prefixItems", ()), strict=False)
        case inspect.StructType() | inspect.TypedDictType() | inspect.DataclassType():
            properties = schema.get("properties", {})
            pairs = [(field.type, properties.get(field.encode_name)) for field in info.fields]
        case inspect.TupleType():
            pairs = zip(info.item_types, schema.get("prefixItems", ()), strict=False)
        case inspect.CollectionType():
            pairs = [(info.item_type, schema.get("items"))]
        case inspect.DictType():
            pairs = [(info.value_type, schema.get("additionalProperties"))]
        case inspect.Metadata():
            pairs = [(info.type, schema)]
        case inspect.UnionType():
            pairs = _union_parts(info, schema, definitions)
    return list(pairs)


def _union_parts(
    info: inspect.UnionType, schema: Schema, definitions: Definitions
) -> list[tuple[inspect.Type, Any]]:
    """Pair by what the alternatives look like: tagged Structs are grouped, so their order says nothing."""
    pairs: list[tuple[inspect.Type, Any]] = []
    for place in _alternatives(schema):
        named = definitions.get(place.get("$ref", "").removeprefix(REF_PREFIX), place)
        pairs += [(part, place) for part in info.types if _describes(named, part)]
    return pairs


def _alternatives(schema: Schema) -> list[Schema]:
    found: list[Schema] = []
    for part in schema.get("anyOf", ()):
        found += _alternatives(part) if "anyOf" in part else [part]
    return found


def _describes(schema: Schema, info: inspect.Type) -> bool:
    """Tell whether *schema* was made from *info*; msgspec refuses unions where that is in doubt."""
    made = schema.get("type")
    match info:
        case inspect.Metadata():
            return _describes(schema, info.type)
        case inspect.DateTimeType() | inspect.TimeType():
            return made == "string"
        case inspect.CollectionType() | inspect.TupleType():
            return made == "array"
        case inspect.StructType() | inspect.TypedDictType() | inspect.DataclassType():
            names = {field.encode_name for field in info.fields} | {getattr(info, "tag_field", None)}
            return names - {None} == set(schema.get("properties", ()))
    return made == "object" and isinstance(info, inspect.DictType)
