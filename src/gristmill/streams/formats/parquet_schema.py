"""Whether two Parquet files have the same columns, and how they first differ: names and types, never data."""

from __future__ import annotations

from gristmill.errors import SchemaMismatch
from gristmill.streams.formats.arrow_schema import arrow_difference
from gristmill.streams.formats.parquet_footer import KEY_VALUES, SCHEMA, Footer, structs_of
from gristmill.streams.formats.thrift_tree import Struct

_NAME, _CHILDREN, _LOGICAL = 4, 5, 10  # SchemaElement
_KEY, _VALUE = 1, 2  # KeyValue
_ARROW = b"ARROW:schema"

_TYPES = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_REPETITIONS = ("required", "optional", "repeated")
_LOGICAL_TYPES = (
    "", "STRING", "MAP", "LIST", "ENUM", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "INTERVAL", "INTEGER",
    "UNKNOWN", "JSON", "BSON", "UUID", "FLOAT16", "VARIANT", "GEOMETRY", "GEOGRAPHY", "VECTOR",
)  # fmt: skip
_ASPECTS = {
    1: "type",
    _LOGICAL: "logical type",
    2: "length",
    3: "repetition",
    _CHILDREN: "number of fields",
    6: "converted type",
    7: "scale",
    8: "precision",
    9: "field id",
}


def require_same_schema(first: Footer, other: Footer, what: str) -> None:
    """Refuse a file whose columns are not those of the first.

    Compared are the Parquet schemas and, where both files carry one, the
    Arrow schemas: some Arrow types (a duration and its unit) are there and
    nowhere else. The metadata of columns and tables may differ.

    Args:
        first: What all files of one output must be like.
        other: One of them.
        what: What the message calls it, such as ``"piece 3"``.

    Raises:
        SchemaMismatch: With the first difference.
    """
    ours, theirs = first.raw(SCHEMA) or b"", other.raw(SCHEMA) or b""
    found = _difference(structs_of(ours), structs_of(theirs)) if ours != theirs else None
    if found is None and first.raw(KEY_VALUES) != other.raw(KEY_VALUES):
        mine, its = _arrow_schema(first), _arrow_schema(other)
        found = arrow_difference(mine, its) if mine and its and mine != its else None
    if found is not None:
        raise SchemaMismatch(
            f"{what[:1].upper()}{what[1:]} has other columns than the first: {found}. "
            "All parts of one Parquet file have the same schema: write each with the schema of the first."
        )


def _arrow_schema(footer: Footer) -> bytes | None:
    for pair in structs_of(footer.raw(KEY_VALUES) or b"\x0c"):
        value = pair.fields.get(_VALUE, (0, None))[1]
        if pair.fields.get(_KEY, (0, None))[1] == _ARROW and isinstance(value, bytes):
            return value
    return None


def _difference(first: list[Struct], other: list[Struct]) -> str | None:
    ours, theirs = _paths(first), _paths(other)
    return _columns_difference(list(ours), list(theirs)) or next(
        (
            found
            for path in ours
            if (found := _details_difference(path or "the root", ours[path], theirs[path]))
        ),
        None,
    )


def _columns_difference(ours: list[str], theirs: list[str]) -> str | None:
    for path in ours:
        if path not in theirs:
            return f"column {path!r} of the first is missing"
    for path in theirs:
        if path not in ours:
            return f"column {path!r} is not in the first"
    for mine, its in zip(ours, theirs, strict=True):
        if mine != its:
            return f"column {its!r} stands where the first has {mine!r}"
    return None


def _details_difference(path: str, ours: Struct, theirs: Struct) -> str | None:
    for field, aspect in _ASPECTS.items():
        mine, its = _shown(ours, field), _shown(theirs, field)
        if mine != its:
            return f"the {aspect} of {path!r} is {its}, in the first {mine}"
        if field == _LOGICAL and ours.fields.get(field) != theirs.fields.get(field):
            return f"{path!r} is a {its} of another unit, precision or kind"
    return None if ours == theirs else f"a detail of {path!r} differs"


def _paths(elements: list[Struct]) -> dict[str, Struct]:
    """Name the elements, which stand depth first, by their dotted paths; the root is the empty path."""
    paths: dict[str, Struct] = {}
    open_groups: list[tuple[str, int]] = []  # the group's path and how many of its children are still to come
    for element in elements:
        name = element.fields.get(_NAME, (0, b""))[1]
        text = name.decode(errors="replace") if isinstance(name, bytes) else "?"
        path = "" if not paths else f"{open_groups[-1][0]}.{text}".lstrip(".") if open_groups else text
        paths[path] = element
        if open_groups:
            open_groups[-1] = (open_groups[-1][0], open_groups[-1][1] - 1)
        open_groups.append((path, element.integer(_CHILDREN) or 0))
        while open_groups and not open_groups[-1][1]:
            open_groups.pop()
    return paths


def _shown(element: Struct, field: int) -> str:
    value = element.fields.get(field, (0, None))[1]
    names = {1: _TYPES, 3: _REPETITIONS}.get(field)
    if isinstance(value, Struct):  # the union of logical types: the id of its one field is the type
        names, value = _LOGICAL_TYPES, next(iter(value.fields), 0)
    if value is None:
        return "none"
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)
