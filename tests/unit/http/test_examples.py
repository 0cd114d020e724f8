from __future__ import annotations

import decimal
import enum
import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from gristmill.http.examples import example_of
from gristmill.http.schemas import item_schema


class Colour(enum.Enum):
    RED = "red"


class Node(msgspec.Struct):
    name: str
    children: list[Node]
    parent: Node | None = None


class Endless(msgspec.Struct):
    again: Endless


class Everything(msgspec.Struct):
    email: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")]
    sku: Annotated[str, Meta(pattern=r"^[A-Z]{2}-\d{4}$")]
    short: Annotated[str, Meta(max_length=3)]
    long: Annotated[str, Meta(min_length=40)]
    code: Annotated[str, Meta(min_length=3, max_length=3, pattern=r"^[A-Z]+$")]
    at: datetime
    local: Annotated[datetime, Meta(tz=False)]
    day: date
    alarm: time
    took: timedelta
    id: uuid.UUID
    price: decimal.Decimal
    blob: bytes
    age: Annotated[int, Meta(ge=18, lt=20)]
    step: Annotated[int, Meta(multiple_of=7, gt=7)]
    share: Annotated[float, Meta(gt=0, lt=0.5)]
    low: Annotated[int, Meta(le=-4)]
    colour: Colour
    kind: Literal["a", "b"]
    tags: Annotated[list[str], Meta(min_length=2)]
    pair: tuple[int, datetime]
    scores: dict[int, float]
    ended: datetime | None
    flag: bool
    nothing: None
    unknown: Any


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


class Row(msgspec.Struct, array_like=True):
    count: int
    at: datetime
    note: str = "n"


@dataclass
class Point:
    x: int
    y: float = 0.5


class Reading(TypedDict):
    sensor: str
    value: float


class Order(pydantic.BaseModel):
    sku: Annotated[str, pydantic.Field(pattern=r"^[A-Z]{2}-\d{4}$")]
    count: Annotated[int, pydantic.Field(gt=0, le=99)]
    site: pydantic.HttpUrl
    parts: list[Order] = []
    at: datetime


def example(annotation):
    return example_of(*item_schema(annotation))


@pytest.mark.parametrize(
    "annotation",
    [
        Everything,
        Node,
        Cat | Dog,
        Row,
        Point,
        Reading,
        list[Cat | Dog],
        dict[str, Point],
        set[int],
        str,
        int | None,
    ],
)
def test_the_example_of_a_type_decodes_as_that_type(annotation):
    encoded = msgspec.json.encode(example(annotation))

    assert msgspec.json.decode(encoded, type=annotation) is not None


def test_the_example_of_a_pydantic_model_validates():
    assert Order.model_validate(example(Order)).sku == "AB-1234"


def test_strings_read_like_what_their_name_says():
    class Person(msgspec.Struct):
        name: str
        contactEmail: str  # noqa: N815 - the JSON name is the point
        nickname: str

    assert example(Person) == {
        "name": "Ada Lovelace",
        "contactEmail": "ada@example.com",
        "nickname": "nickname",
    }


def test_a_schema_that_contains_itself_ends_where_it_may():
    assert example(Node) == {"name": "Ada Lovelace", "children": [], "parent": None}


def test_a_schema_that_can_not_end_has_null_for_an_example():
    assert example(Endless) is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "examples": ["seen"], "default": "unseen"}, "seen"),
        ({"type": "string", "example": "one"}, "one"),
        ({"const": 7}, 7),
        ({"enum": [None, "b"]}, "b"),
        ({"type": "integer", "default": 0}, 0),
        ({"type": "boolean", "default": False}, False),
        ({"type": "array", "items": {"type": "integer"}, "default": []}, [1]),
        ({"type": ["null", "integer"]}, 1),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        (
            {"allOf": [{"$ref": "#/components/schemas/Base"}], "description": "as pydantic once wrote"},
            {"z": 1},
        ),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": "x"}]}, [1, "x"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"key": 1}),
        ({"type": "array", "items": False, "minItems": 0}, []),
        ({}, {}),
        (True, {}),
    ],
)
def test_what_the_schema_names_comes_first_and_limits_hold(schema, expected):
    assert example_of(schema, {"Base": {"properties": {"z": {"const": 1}}}}) == expected


def test_a_pattern_python_can_not_read_rules_nothing_out():
    assert example_of({"type": "string", "pattern": r"^\p{L}+$"}, {}) == "string"


@given(low=st.integers(-1000, 1000), span=st.integers(0, 50), step=st.integers(1, 9))
def test_an_integer_keeps_inside_its_limits_and_on_its_step(low, span, step):
    schema = {"type": "integer", "minimum": low, "maximum": low + span + step, "multipleOf": step}

    made = example_of(schema, {})

    assert low <= made <= low + span + step
    assert made % step == 0


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_a_number_between_two_excluded_bounds_touches_neither(low, span):
    schema = {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + span}

    assert low < example_of(schema, {}) < low + span


@given(least=st.integers(0, 60), more=st.integers(0, 60))
def test_a_string_is_as_long_as_it_must_and_may_be(least, more):
    made = example_of({"type": "string", "minLength": least, "maxLength": least + more}, {})

    assert least <= len(made) <= least + more
