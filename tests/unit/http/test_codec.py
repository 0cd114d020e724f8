from __future__ import annotations

import enum
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.codec.results import ResultCodec, UnusableResult
from gristmill.errors import ConfigurationError
from gristmill.http.codec import item_codec
from gristmill.http.problems import Refused
from gristmill.wire import Problem


class Point(msgspec.Struct):
    x: float
    tags: dict[str, list[int]] = {}


@dataclass
class Pair:
    left: int
    right: int = 0


class Row(TypedDict):
    name: str


class Account(pydantic.BaseModel):
    owner: str
    balance: float = 0.0


class Order(msgspec.Struct):
    account: Account


class Color(enum.Enum):
    RED = "red"


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    name: str


class Careful(msgspec.Struct):
    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n must not be negative")
        if self.n == 0:
            raise KeyError("a bug")


def refusal(annotation: Any, text: bytes, at: str = "#") -> Problem:
    with pytest.raises(Refused) as caught:
        item_codec(annotation).decode(text, at)
    return caught.value.problem


@pytest.mark.parametrize(
    ("annotation", "text", "item"),
    [
        (Point, b'{"x":1,"unknown":2}', Point(1.0)),
        (Pair, b'{"left":1}', Pair(1)),
        (Row, b'{"name":"a"}', {"name": "a"}),
        (int, b"7", 7),
        (Any, b'{"a":[1,null]}', {"a": [1, None]}),
        (object, b'{"a":[1,null]}', {"a": [1, None]}),
        (dict[str, object], b'{"a":[1,null]}', {"a": [1, None]}),
        (Account, b'{"owner":"a"}', Account(owner="a")),
        (Order, b'{"account":{"owner":"a"}}', Order(Account(owner="a"))),
        (list[Account], b'[{"owner":"a"}]', [Account(owner="a")]),
        (Account | Pair, b'{"left":1}', Pair(1)),
    ],
)
def test_items_are_decoded_into_their_type(annotation: Any, text: bytes, item: object) -> None:
    assert item_codec(annotation).decode(text) == item


@pytest.mark.parametrize(
    ("annotation", "text", "pointer"),
    [
        (Point, b'{"x":"1"}', "#/x"),
        (Point, b"{}", "#"),
        (Point, b'{"x":1,"tags":{"a":["b"]}}', "#/tags"),
        (list[Point], b'[{"x":1},{"x":"1"}]', "#/1/x"),
        (Pair, b'{"left":null}', "#/left"),
        (dict[int, int], b'{"a":1}', "#"),
        (Account, b'{"owner":7}', "#/owner"),
        (Order, b'{"account":{"owner":7}}', "#/account/owner"),
        (list[Account], b'[{"owner":7}]', "#/0/owner"),
        (Careful, b'{"n":-1}', "#"),
    ],
)
def test_what_is_wrong_is_pointed_at(annotation: Any, text: bytes, pointer: str) -> None:
    found = refusal(annotation, text)
    assert (found.code, found.status) == ("invalid_item", 422)
    assert isinstance(found.errors, list)
    assert [complaint.pointer for complaint in found.errors] == [pointer]


def test_pointers_start_at_the_item() -> None:
    found = refusal(Point, b'{"x":null}', "#/items/3/data")
    assert isinstance(found.errors, list)
    assert found.errors[0].pointer == "#/items/3/data/x"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Color, b'"hunter2"'),
        (Literal["a"], b'"hunter2\\n - at `$.b`"'),
        (Cat | Dog, b'{"type":"hunter2"}'),
        (Dog, b'{"type":"Dog","name":"a","hunter2":1}'),
        (dict[Literal["a"], int], b'{"hunter2":1}'),
        (Account, b'{"owner":["hunter2"]}'),
        (Order, b'{"account":{"owner":["hunter2"]}}'),
    ],
)
def test_values_are_never_repeated(annotation: Any, text: bytes) -> None:
    assert "hunter2" not in str(refusal(annotation, text))


@pytest.mark.parametrize("annotation", [Any, Point, Account, float, list[Account]])
@pytest.mark.parametrize("text", [b'{"x":1e999}', b'{"x":NaN}', b'{"x":"\\ud800"}', b'{"x":1', b""])
def test_what_is_not_json_is_malformed_whatever_the_type(annotation: Any, text: bytes) -> None:
    if annotation is float:
        text = text.removeprefix(b'{"x":').removesuffix(b"}").replace(b"1", b"1e", 1)
    assert refusal(annotation, text).code == "malformed_json"


def test_a_check_that_breaks_fails_its_item_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "gristmill.http"):
        found = refusal(Careful, b'{"n":0}')
    assert (found.code, found.status) == ("internal_error", 500)
    assert str(found.instance) in caplog.text
    assert "a bug" in caplog.text
    assert "a bug" not in str(found)


def test_a_type_that_json_cannot_hold_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="Struct"):
        item_codec(Point | Pair)
    with pytest.raises(ConfigurationError, match="Struct"):
        item_codec(Account | Point)


class Tree(msgspec.Struct):
    value: Path
    branches: list[Tree]


@pytest.mark.parametrize("annotation", [Path, list[Path], dict[str, Path | None], Tree])
def test_a_class_that_nothing_here_can_make_is_refused_before_the_first_item(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing is known of <class 'pathlib.*Path'>"):
        item_codec(annotation)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        (Point(1.5), b'{"x":1.5,"tags":{}}'),
        (Account(owner="a"), b'{"owner":"a","balance":0.0}'),
        ([None, 1], b"[null,1]"),
        ({1: None}, b'{"1":null}'),
        ([msgspec.Raw(b'"null"'), None], b'["null",null]'),
    ],
)
def test_results_are_written_as_json(value: object, text: bytes) -> None:
    assert ResultCodec().encode(value) == text


class Vector:
    def __init__(self, *values: float) -> None:
        self.values = values

    def tolist(self) -> list[float]:
        return list(self.values)


def test_arrays_are_written_as_lists() -> None:
    assert ResultCodec().encode(Vector(1.0, 2.0)) == b"[1.0,2.0]"


@pytest.mark.parametrize(
    "value",
    [
        math.nan, [math.inf], {"a": {"b": -math.inf}}, Point(math.nan), Account(owner="a", balance=math.nan),
        Vector(math.nan), object(), "\ud800", {"a": object()},
    ],
)  # fmt: skip
def test_what_json_cannot_hold_is_an_unusable_result(value: object) -> None:
    with pytest.raises(UnusableResult):
        ResultCodec().encode(value)


def test_a_result_is_written_or_refused_however_deep_it_is() -> None:
    value: object = None
    refused = set()
    for depth in range(1, 3000):
        value = [value]
        try:
            ResultCodec().encode(value)
        except UnusableResult:
            refused.add(depth)
    assert refused == set(range(min(refused, default=3000), 3000))
