from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest
from pydantic import BaseModel

from gristmill.streams.formats.typed_rows import converter


class Struct(msgspec.Struct):
    id: int
    price: float = 1.5
    day: dt.date | None = None
    name: str = "none"


@dataclass
class Data:
    id: int
    price: float = 1.5
    day: dt.date | None = None
    name: str = "none"


class Typed(TypedDict):
    id: int
    price: float


class Model(BaseModel):
    id: int
    price: float = 1.5
    day: dt.date | None = None
    name: str = "none"


def converted(kind: Any, *rows: dict[str, str]) -> tuple[list[Any], list[int], dict[int, str]]:
    found = converter(kind)
    assert found is not None
    items, numbers, bad = found.all(rows, range(10, 10 + len(rows)))
    assert {each.stage for each in bad.values()} <= {"validate"}
    assert {each.code for each in bad.values()} <= {"invalid_item"}
    return items, list(numbers), {number: each.message for number, each in bad.items()}


@pytest.mark.parametrize("kind", [Any, dict, dict[str, str]])
def test_dicts_are_taken_as_they_are(kind: Any) -> None:
    assert converter(kind) is None


@pytest.mark.parametrize("kind", [Struct, Data, Model])
def test_strings_become_what_the_type_wants_and_bad_rows_fail_alone(kind: Any) -> None:
    row = {"id": "1", "price": "2.5", "day": "2026-01-31", "name": "007"}
    items, numbers, bad = converted(kind, row, {**row, "id": "x"}, {**row, "id": "3"})
    day = dt.date(2026, 1, 31)
    assert items == [kind(id=1, price=2.5, day=day, name="007"), kind(id=3, price=2.5, day=day, name="007")]
    assert numbers == [10, 12]
    assert list(bad) == [11]
    assert "id" in bad[11]
    assert converted(kind, row)[1:] == ([10], {})


@pytest.mark.parametrize("kind", [Struct, Data, Model])
def test_an_empty_cell_leaves_a_field_to_its_default_where_it_cannot_be_one(kind: Any) -> None:
    items, _, bad = converted(kind, {"id": "1", "price": "", "day": "", "name": ""}, {"id": "", "price": ""})
    assert items == [kind(id=1, name="none")]
    assert "id" in bad[11]


def test_typed_dicts_are_converted_too() -> None:
    items, _, bad = converted(Typed, {"id": "1", "price": "2"}, {"id": "1"})
    assert items == [{"id": 1, "price": 2.0}]
    assert "price" in bad[11]


def test_several_errors_of_a_model_are_told_with_their_places() -> None:
    _, _, bad = converted(Model, {"id": "x", "price": "y"})
    assert " at id; " in bad[10]
    assert " at price" in bad[10]
