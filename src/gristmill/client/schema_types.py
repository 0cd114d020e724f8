"""From the JSON schema of an item to a type that rows of text can be read as. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

_TYPES: Mapping[str, Any] = {"integer": int, "number": float, "boolean": bool, "string": str}
_NULL = "null"


def item_type_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """Return a ``TypedDict`` of the fields of *schema*; ``Any`` where it is no object of known fields.

    Cells of CSV are text: with it ``"36"`` becomes 36 where the server wants a number. What else a field may
    be is left to the server.

    Args:
        schema: Of an item, as the server describes it.
        components: Schemas that it refers to, by name or below ``schemas``.
    """
    found = _resolved(schema, components)
    properties = found.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return Any
    required = set(found.get("required", ()))
    fields = {
        name: kind if name in required else NotRequired[kind]
        for name, kind in ((name, _field(each, components)) for name, each in properties.items())
    }
    return TypedDict("Item", fields)  # type: ignore[operator]  # made of what the server tells


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    named: Any = components.get("schemas", components)
    found = named.get(reference.rpartition("/")[2]) if isinstance(named, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _field(schema: Any, components: Mapping[str, Any]) -> Any:
    if not isinstance(schema, Mapping):
        return Any
    schema = _resolved(schema, components)
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list):
        kinds = [_field(each, components) for each in options if each != {"type": _NULL}]
        kind = kinds[0] if len(kinds) == 1 else Any
        return kind if len(kinds) == len(options) or kind is Any else kind | None
    told = schema.get("type")
    if isinstance(told, list):
        kinds = [_TYPES.get(each, Any) for each in told if each != _NULL]
        kind = kinds[0] if len(kinds) == 1 else Any
        return kind if _NULL not in told or kind is Any else kind | None
    return _TYPES.get(told, Any) if isinstance(told, str) else Any
