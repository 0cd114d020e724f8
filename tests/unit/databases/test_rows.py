from __future__ import annotations

from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from gristmill.databases.rows import ResultBuilder, as_scalar, column_reader, field_names, row_reader
from gristmill.errors import ConfigurationError


class Struct(msgspec.Struct, rename="camel"):
    first_name: str
    age: int = 0


class Model(pydantic.BaseModel):
    age: int
    name: str = pydantic.Field("", alias="firstName")


class Typed(TypedDict):
    name: str
    age: NotRequired[int]


class Colour(Enum):
    RED = "red"
    MANY = ["red", "blue"]  # noqa: RUF012 - an Enum's value, not an attribute


class Level(IntEnum):
    HIGH = 3


def test_fields_are_named_with_the_keys_that_their_decoders_read():
    assert field_names(Struct) == {"first_name": "firstName", "age": "age"}
    assert field_names(Model) == {"age": "age", "name": "firstName"}
    assert field_names(Typed) == {"name": "name", "age": "age"}


@pytest.mark.parametrize("kind", [int, str, dict, list[int], namedtuple("Pair", "a b")])  # noqa: PYI024 - no types wanted
def test_a_type_without_fields_is_refused(kind):
    with pytest.raises(
        ConfigurationError, match="rows must be msgspec Structs, dataclasses, pydantic models or dicts"
    ):
        field_names(kind)


def test_a_reader_takes_the_columns_in_their_order():
    assert row_reader(("age", "first_name"), is_dict=False)(Struct("Ann", 3)) == (3, "Ann")
    assert row_reader(("b", "a"), is_dict=True)({"a": 1, "b": 2}) == (2, 1)
    assert row_reader(("a",), is_dict=True)({"a": (1, 2)}) == ((1, 2),)
    assert row_reader((), is_dict=True)({}) == ()


@pytest.mark.parametrize(
    ("value", "scalar"),
    [
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(seconds=90), "PT90S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
    ],
)
def test_values_without_a_type_in_sql_become_what_json_would_write(value, scalar):
    assert as_scalar(value) == scalar


@pytest.mark.parametrize("value", [{}, [1], object(), msgspec.UNSET, Struct("Ann"), Colour.MANY])
def test_values_with_parts_are_refused(value):
    with pytest.raises(TypeError, match=f"a value of type {type(value).__name__} cannot be stored"):
        as_scalar(value)


def test_results_are_values_dicts_of_the_columns_or_validated_objects():
    assert ResultBuilder("id").build((1,)) == 1
    assert ResultBuilder("id").build_all([(1,), (None,)]) == [1, None]
    assert ResultBuilder(("id", "name")).build((1, "Ann")) == {"id": 1, "name": "Ann"}
    assert ResultBuilder(Struct).build(("Ann", 3)) == Struct("Ann", 3)
    assert ResultBuilder(Model).build((3, "Ann")) == Model(age=3, firstName="Ann")


@pytest.mark.parametrize(("kind", "values"), [(Struct, ("Ann", "secret")), (Model, ("secret", "Ann"))])
def test_a_result_that_does_not_fit_names_no_value(kind, values):
    with pytest.raises(
        ConfigurationError, match="a stored row does not fit the type of `returning`"
    ) as caught:
        ResultBuilder(kind).build(values)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("returning", "message"),
    [
        ("", "returning must name at least one column"),
        ((), "returning must name at least one column"),
        (int, "rows must be msgspec Structs"),
    ],
)
def test_returning_that_cannot_work_is_refused(returning, message):
    with pytest.raises(ConfigurationError, match=message):
        ResultBuilder(returning)


def test_a_column_is_read_out_of_objects_and_dicts() -> None:
    assert column_reader("first_name", is_dict=False)([Struct("a"), Struct("b")]) == ["a", "b"]
    assert column_reader("first name", is_dict=True)([{"first name": 1}, {"first name": None}]) == [1, None]
    assert column_reader("age", is_dict=False)([]) == []


@pytest.mark.parametrize("name", ["class", "a b", "a: 1/0 #"])
def test_names_that_are_no_names_in_python_are_read_as_they_are(name: str) -> None:
    kind = type("Odd", (), {})
    odd = kind()
    setattr(odd, name, 7)
    assert column_reader(name, is_dict=False)([odd]) == [7]


class Validated(pydantic.BaseModel):
    name: str = pydantic.Field(validation_alias="firstName")


class Chosen(pydantic.BaseModel):
    name: str = pydantic.Field(validation_alias=pydantic.AliasChoices(pydantic.AliasPath("a", 0), "n"))


class ByName(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(validate_by_name=True, validate_by_alias=False)
    name: str = pydantic.Field(alias="firstName")


@pytest.mark.parametrize("kind", [Validated, Chosen, ByName])
def test_a_model_is_made_by_the_key_it_reads(kind: Any) -> None:
    builder: ResultBuilder[Any] = ResultBuilder(kind)
    assert builder.columns == ("name",)
    assert builder.build(("Ann",)).name == "Ann"
