"""A plausible JSON value for a JSON Schema: what the docs page and the CLI show to try a handler with.

Guesses by name, format and pattern; what it cannot satisfy (a pattern that no
guess matches) it fills with the nearest thing, for a person to edit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NOTHING: Any = object()  # no finite value here: the schema contains itself

_BY_FORMAT = {
    "date-time": "2026-01-31T09:30:00Z",
    "date-time-local": "2026-01-31T09:30:00",
    "date": "2026-01-31",
    "time": "09:30:00Z",
    "time-local": "09:30:00",
    "duration": "PT90S",
    "uuid": "5f0c4a52-8f0e-4a5b-9b0e-2f6d1c7e8a90",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "Z3Jpc3Q=",
    "decimal": "12.50",
    "json-string": "{}",
}

_BY_NAME = {
    "email": "ada@example.com",
    "mail": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "name": "Ada Lovelace",
    "user": "ada",
    "username": "ada",
    "title": "A short title",
    "text": "A line of text.",
    "body": "A line of text.",
    "message": "A line of text.",
    "description": "A line of text.",
    "url": "https://example.com/",
    "phone": "+14155550123",
    "country": "GB",
    "currency": "EUR",
    "city": "London",
    "sku": "AB-1234",
}

_BY_PATTERN = (
    *("ada@example.com", "Ada Lovelace", "ada", "Ada", "ADA", "a", "A", "ab", "AB", "GB", "EUR", "en-GB"),
    *("ada-lovelace", "ada_lovelace", "adaLovelace", "/", "/a/b", "https://example.com/", "example.com"),
    *("1", "12", "123", "1234", "12345", "123456", "1234567890", "12.50", "1.2.3", "v1.2.3", "09:30"),
    *("AB-1234", "AB1234", "ABC-123", "ab12", "a1", "abc123", "#a1b2c3", "a1b2c3d4"),
    *("+14155550123", "415-555-0123"),
    *_BY_FORMAT.values(),
)


def example_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return a JSON value that *schema* most likely accepts, the same one each time.

    Args:
        schema: A JSON Schema of 2020-12, as ``item_schema`` gives it.
        definitions: name -> schema, for references that end in ``/<name>``.

    Returns:
        An example the author wrote if there is one, else a value made from
        the type and its limits. ``None`` if only an endless value would fit.
    """
    value = _Examples(definitions).of(schema)
    return None if value is _NOTHING else value


class _Examples:
    """Makes values over one set of definitions; remembers only which references are open."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._open: list[str] = []

    def of(self, schema: Any, name: str = "") -> Any:
        """Return a value for *schema*, the place called *name*; ``_NOTHING`` where it would not end."""
        if not isinstance(schema, Mapping):
            return _NOTHING if schema is False else {}
        if "$ref" in schema:
            return self._referred(schema["$ref"], name)
        value = _written(schema)
        if value is _NOTHING:
            choices = schema.get("oneOf") or schema.get("anyOf")
            if "allOf" in schema:
                value = self.of(self._merged(schema), name)
            elif choices:
                value = self._first_of(choices, name)
            else:
                value = self._by_type(schema, name)
        return value

    def _referred(self, ref: str, name: str) -> Any:
        target = ref.rpartition("/")[2]
        if target in self._open or target not in self._definitions:
            return _NOTHING
        self._open.append(target)
        value = self.of(self._definitions[target], name)
        self._open.pop()
        return value

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Fold ``allOf`` into one schema: later keywords win, properties and requirements add up."""
        whole: dict[str, Any] = {}
        for part in (*schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}):
            found = self._definitions.get(part["$ref"].rpartition("/")[2], {}) if "$ref" in part else part
            properties = {**whole.get("properties", {}), **found.get("properties", {})}
            required = [*whole.get("required", ()), *found.get("required", ())]
            whole |= found
            whole |= {"properties": properties, "required": required} if properties else {}
        whole.pop("allOf", None)  # one level: deeper ones may run in circles
        return whole

    def _first_of(self, choices: list[Any], name: str) -> Any:
        """Return a value of the first choice that has one, null last."""
        finite = [value for choice in choices if (value := self.of(choice, name)) is not _NOTHING]
        return next((value for value in finite if value is not None), None if finite else _NOTHING)

    def _by_type(self, schema: Mapping[str, Any], name: str) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        match kind:
            case "string":
                return _string(schema, name)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean" | "null":
                return True if kind == "boolean" else None
            case "array":
                return self._array(schema, name)
        return self._object(schema)

    def _object(self, schema: Mapping[str, Any]) -> Any:
        made: dict[str, Any] = {}
        required = schema.get("required", ())
        for name, part in schema.get("properties", {}).items():
            value = self.of(part, name)
            if value is not _NOTHING:
                made[name] = value
            elif name in required:
                return _NOTHING
        others = schema.get("additionalProperties")
        if not made and isinstance(others, Mapping):
            value = self.of(others)
            names = schema.get("propertyNames") or {}
            key = str(self.of({"type": "string", **names}, "key"))
            made = {} if value is _NOTHING else {key: value}
        return made

    def _array(self, schema: Mapping[str, Any], name: str) -> Any:
        places = list(schema.get("prefixItems", ()))
        least = schema.get("minItems", 0)
        wanted = max(least, len(places) or 1)
        places += [schema.get("items", {})] * (min(wanted, schema.get("maxItems", wanted)) - len(places))
        values = [
            value for place in places if (value := self.of(place, name.removesuffix("s"))) is not _NOTHING
        ]
        return _NOTHING if len(values) < least else values


def _written(schema: Mapping[str, Any]) -> Any:
    """Return the value the schema itself names, if it names one worth showing."""
    if schema.get("examples"):
        return schema["examples"][0]
    for word in ("example", "const"):
        if word in schema:
            return schema[word]
    if schema.get("enum"):
        return next((choice for choice in schema["enum"] if choice is not None), None)
    default = schema.get("default")
    # An empty default is right but shows nobody what could stand there.
    return _NOTHING if default is None or default in ("", [], {}) else default


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else 0)
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    over, under = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    gap = step or min(1.0, (min(high, under) - max(low, over)) / 2)
    least = max(low, over + gap)
    most = min(high, under - gap)
    value = min(max(1 if whole else 1.5, least), most)
    if step:
        value = math.ceil(value / step) * step
        value -= step if value > most else 0
    return int(value) if whole else value


def _string(schema: Mapping[str, Any], name: str) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    guesses = list(_guesses(schema, name))
    for guess in guesses:
        if least <= len(guess) <= most and _matches(schema.get("pattern"), guess):
            return guess
    first = guesses[0]
    padded = first * (-(-least // len(first))) if len(first) < least else first
    return padded if len(padded) <= most else padded[: int(most)]


def _guesses(schema: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield likely strings, the most telling first; at least one."""
    if "contentEncoding" in schema:
        yield "Z3Jpc3Q="
    if schema.get("format") in _BY_FORMAT:
        yield _BY_FORMAT[schema["format"]]
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    for known in (word, word.rpartition("_")[2]):
        if known in _BY_NAME:
            yield _BY_NAME[known]
    yield "string" if not name else name.replace("_", " ")
    if "pattern" in schema or "minLength" in schema or "maxLength" in schema:
        yield from _BY_PATTERN


def _matches(pattern: str | None, guess: str) -> bool:
    """Tell whether *guess* fits; a pattern Python cannot read (ECMA 262 differs) rules nothing out."""
    if pattern is None:
        return True
    try:
        return re.search(pattern, guess) is not None
    except re.error:
        return True
