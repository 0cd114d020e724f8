from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.errors import ConfigurationError
from gristmill.http.schemas import item_schema


class Plan(enum.Enum):
    FREE = "free"
    PAID = "paid"


class Address(msgspec.Struct):
    city: str


class NewUser(msgspec.Struct):
    """A user to create."""

    email: Annotated[str, msgspec.Meta(pattern="@", max_length=200)]
    plan: Plan = Plan.FREE
    home: Address | None = None


class Node(msgspec.Struct):
    children: list[Node]


class Event(msgspec.Struct):
    at: datetime
    local: Annotated[datetime, msgspec.Meta(tz=False)]
    days: list[date]
    alarms: dict[str, list[time]]
    ended: datetime | int | None = None
    pairs: tuple[int, datetime] | None = None


class Row(msgspec.Struct, array_like=True):
    count: int
    at: datetime


class Cat(msgspec.Struct, tag=True):
    born: datetime


class Dog(msgspec.Struct, tag=True):
    walked: list[datetime]


@dataclass
class Point:
    x: int
    y: float = 0.0


class Reading(TypedDict):
    sensor: str
    value: float


class Model(pydantic.BaseModel):
    name: str
    age: Annotated[int, pydantic.Field(ge=0)] = 0


class Area(pydantic.BaseModel):
    side: float

    @pydantic.computed_field
    @property
    def area(self) -> float:
        return self.side**2


class Tree(pydantic.BaseModel):
    branches: list[Tree] = []


def test_a_struct_is_a_reference_to_its_definition_with_its_constraints():
    schema, definitions = item_schema(NewUser)

    assert schema == {"$ref": "#/components/schemas/NewUser"}
    assert set(definitions) == {"NewUser", "Plan", "Address"}
    assert definitions["NewUser"]["description"] == "A user to create."
    assert definitions["NewUser"]["properties"]["email"] == {
        "type": "string",
        "pattern": "@",
        "maxLength": 200,
    }
    assert definitions["NewUser"]["required"] == ["email"]
    assert definitions["Plan"]["enum"] == ["free", "paid"]


def test_a_struct_that_contains_itself_refers_to_itself():
    _, definitions = item_schema(Node)

    assert definitions["Node"]["properties"]["children"]["items"] == {"$ref": "#/components/schemas/Node"}


def test_a_dataclass_and_a_typed_dict_name_their_fields_and_which_are_required():
    _, of_dataclass = item_schema(Point)
    _, of_typed_dict = item_schema(Reading)

    assert of_dataclass["Point"]["required"] == ["x"]
    assert of_dataclass["Point"]["properties"]["y"] == {"type": "number", "default": 0.0}
    assert set(of_typed_dict["Reading"]["required"]) == {"sensor", "value"}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Any, {}),
        (str, {"type": "string"}),
        (None, {"type": "null"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (dict[str, Any], {"type": "object"}),
        (dict[str, object], {"type": "object", "additionalProperties": {"title": "Any"}}),
        (list[float], {"type": "array", "items": {"type": "number"}}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time, {"type": "string", "format": "time"}),
    ],
)
def test_builtins_are_described_in_place(annotation, expected):
    assert item_schema(annotation) == (expected, {})


def test_times_name_their_format_wherever_they_stand():
    _, definitions = item_schema(list[Event])
    properties = definitions["Event"]["properties"]

    assert properties["at"]["format"] == "date-time"
    assert properties["local"]["format"] == "date-time-local"
    assert properties["days"]["items"]["format"] == "date"
    assert properties["alarms"]["additionalProperties"]["items"]["format"] == "time"
    assert {"type": "string", "format": "date-time"} in properties["ended"]["anyOf"]
    assert properties["pairs"]["anyOf"][0]["prefixItems"][1]["format"] == "date-time"


def test_a_mapping_by_number_says_that_its_keys_are_digits():
    schema, _ = item_schema(dict[int, str])

    assert schema["propertyNames"] == {"pattern": "^-?[0-9]+$"}


def test_times_name_their_format_inside_tagged_and_array_like_structs():
    _, animals = item_schema(Cat | Dog)
    _, rows = item_schema(Row)

    assert animals["Cat"]["properties"]["born"]["format"] == "date-time"
    assert animals["Dog"]["properties"]["walked"]["items"]["format"] == "date-time"
    assert rows["Row"]["prefixItems"][1]["format"] == "date-time"


def test_a_pydantic_model_describes_itself():
    schema, definitions = item_schema(Model)

    assert schema == {"$ref": "#/components/schemas/Model"}
    assert definitions["Model"]["properties"]["age"]["minimum"] == 0


def test_a_computed_field_is_sent_and_not_accepted():
    _, accepted = item_schema(Area, "in")
    _, sent = item_schema(Area, "out")

    assert set(accepted["Area"]["properties"]) == {"side"}
    assert set(sent["Area"]["properties"]) == {"side", "area"}


def test_a_pydantic_model_that_contains_itself_refers_to_itself():
    schema, definitions = item_schema(Tree)

    assert schema == {"$ref": "#/components/schemas/Tree"}
    assert definitions["Tree"]["properties"]["branches"]["items"] == schema


def test_pydantic_models_inside_containers_and_unions_are_definitions_too():
    in_list, of_list = item_schema(list[Model])
    union, of_union = item_schema(Model | Tree | None)

    assert in_list == {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}
    assert set(of_list) == {"Model"}
    assert union["anyOf"][-1] == {"type": "null"}
    assert set(of_union) == {"Model", "Tree"}


def test_a_class_of_which_nothing_is_known_may_be_anything():
    class Opaque:
        pass

    assert item_schema(list[Opaque]) == ({"type": "array", "items": {"title": "Opaque"}}, {})


def test_a_type_that_json_can_not_tell_apart_is_refused_with_what_to_do():
    with pytest.raises(ConfigurationError, match="Annotate the handler with a msgspec Struct"):
        item_schema(list[str | bytes])


def test_a_type_that_can_only_be_sent_is_described_by_its_name():
    assert item_schema(list[str | bytes], "out") == ({"title": "list"}, {})


class Sensed(msgspec.Struct):
    """What a sensor said.

    Attributes:
        value: In degrees,
            Celsius.
        at (str): When.

    Later readings win.
    """

    value: float
    at: str
    other: str = ""


def test_the_attributes_of_a_docstring_describe_the_properties():
    _, definitions = item_schema(Sensed)
    schema = definitions["Sensed"]

    assert schema["description"] == "What a sensor said.\n\nLater readings win."
    assert schema["properties"]["value"]["description"] == "In degrees, Celsius."
    assert schema["properties"]["at"]["description"] == "When."
    assert "description" not in schema["properties"]["other"]
