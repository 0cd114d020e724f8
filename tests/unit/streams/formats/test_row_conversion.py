from __future__ import annotations

from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.streams.formats.typed_rows import converter


class Person(msgspec.Struct):
    name: str
    age: int = 3


class Entry(TypedDict):
    name: str
    age: int


class Model(pydantic.BaseModel):
    age: int


@pytest.mark.parametrize("kind", [Any, dict, dict[str, str], dict[str, Any], object])
def test_a_dict_of_strings_is_what_a_row_is(kind: Any) -> None:
    assert converter(kind) is None


@pytest.mark.parametrize(
    ("kind", "row", "item"),
    [
        (Person, {"name": "Ada", "age": "36"}, Person("Ada", 36)),
        (Entry, {"name": "Ada", "age": "36"}, {"name": "Ada", "age": 36}),
        (dict[str, float], {"a": "1", "b": "2.5"}, {"a": 1.0, "b": 2.5}),
        (Model, {"age": "36"}, Model(age=36)),
    ],
)
def test_strings_become_what_the_type_wants(kind: Any, row: dict[str, str], item: Any) -> None:
    convert = converter(kind)
    assert convert is not None
    assert convert.one(row) == item
    assert convert.many([row, row]) == [item, item]
    assert convert.all([row], [4]) == ([item], [4], {})


def test_an_empty_cell_is_left_out_where_it_cannot_be_what_is_wanted() -> None:
    convert = converter(Person)
    assert convert is not None
    rows = [{"name": "Ada", "age": ""}, {"name": "", "age": "4"}, {"name": "Bob", "age": "x"}]
    items, numbers, bad = convert.all(rows, [0, 2, 5])
    assert (items, numbers) == ([Person("Ada"), Person("", 4)], [0, 2])
    assert bad[5].code == "invalid_item"
