"""Types made of JSON schemas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gristmill.client.schema_types import item_type_of

USER = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "weight": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "is_active": {"type": ["boolean", "null"]},
        "place": {"$ref": "#/components/schemas/Place"},
    },
    "required": ["name", "age"],
}
PARTS = {"schemas": {"User": USER, "Place": {"type": "object", "properties": {"x": {"type": "integer"}}}}}


def read(row: dict[str, str], schema: Any = USER) -> Any:
    return msgspec.convert(row, item_type_of(schema, PARTS), strict=False)


def test_cells_become_what_the_server_wants() -> None:
    row = {"name": "5", "age": "36", "weight": "1.5", "is_active": "true", "place": "here"}
    assert read(row) == {"name": "5", "age": 36, "weight": 1.5, "is_active": True, "place": "here"}


def test_fields_that_need_not_be_there_may_be_missing() -> None:
    assert read({"name": "a", "age": "1"}) == {"name": "a", "age": 1}
    with pytest.raises(msgspec.ValidationError, match="age"):
        read({"name": "a"})


def test_a_reference_is_followed() -> None:
    assert read({"name": "a", "age": "1"}, {"$ref": "#/components/schemas/User"})["age"] == 1


@pytest.mark.parametrize(
    "schema", [{}, {"type": "string"}, {"type": "object"}, {"$ref": "#/components/schemas/Nobody"}]
)
def test_other_items_are_left_as_they_are(schema: Any) -> None:
    assert item_type_of(schema, PARTS) is Any
