"""Bodies of batches, and their answers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pydantic
import pytest

from gristmill import Failed
from gristmill.client.formats import ArrayFormat, HandlerFormat
from gristmill.errors import ItemFailed, UnusableAnswer


class Struct(msgspec.Struct):
    n: int


@dataclasses.dataclass
class Data:
    n: int


class Model(pydantic.BaseModel):
    n: int


def answer(*replies: dict[str, Any]) -> bytes:
    entries = [{"index": index, "status": 200, **reply} for index, reply in enumerate(replies)]
    return json.dumps({"errors": False, "took_ms": 1, "counts": {}, "items": entries}).encode()


@pytest.mark.parametrize("kind", [Struct, Data, Model])
def test_items_and_results_have_their_types(kind: Any) -> None:
    form = HandlerFormat(kind)
    assert form.body([form.seal(kind(n=1)), form.seal({"n": 2})]) == b'[{"n":1},{"n":2}]'
    assert form.read(answer({"result": {"n": 3}}), 1) == [kind(n=3)]


@pytest.mark.parametrize("kind", [Struct, Data, Model])
def test_a_result_of_another_type_fails_alone(kind: Any) -> None:
    good, bad = HandlerFormat(kind).read(answer({"result": {"n": 1}}, {"result": {"n": "x"}}), 2)
    assert good == kind(n=1)
    assert isinstance(bad, UnusableAnswer)
    assert kind.__name__ in str(bad)


def test_without_types_results_are_builtins_and_null_is_one() -> None:
    assert HandlerFormat(Any).read(answer({"result": [1]}, {"result": None}), 2) == [[1], None]


def test_problems_become_exceptions() -> None:
    problem = {"type": "/problems/x", "code": "x", "title": "No", "detail": "because", "retryable": True}
    _, error = HandlerFormat(Any).read(answer({"result": 1}, {"status": 409, "error": problem}), 2)
    assert isinstance(error, ItemFailed)
    assert (error.message, error.code, error.retryable) == ("because", "x", True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"items":3}',
        b'{"items":[{"index":0,"stat',
        answer({"result": 1}),
        answer({"result": 1}, {"result": 2}, {"result": 3}),
        answer({"result": 1}, {"result": 2, "index": 0}),
        answer({"result": 1, "index": 1}, {"result": 2, "index": 0}),
        b"[" * 100_000,
    ],
)
def test_an_answer_that_does_not_fit_is_not_shared_out(body: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        HandlerFormat(Any).read(body, 2)


@pytest.mark.parametrize("item", [float("nan"), object(), "\ud800", {1: object()}])
def test_an_item_without_json_is_told_and_not_raised(item: Any) -> None:
    sealed = HandlerFormat(Any).seal(item)
    assert isinstance(sealed.refusal, ItemFailed)
    assert sealed.refusal.code == "invalid_item"


def test_any_endpoint_is_encoded_and_decoded_as_the_user_says() -> None:
    form = ArrayFormat(lambda items: {"users": items}, lambda found: found["results"])
    assert form.body([form.seal(1), form.seal(2)]) == b'{"users":[1,2]}'
    assert form.read(b'{"results":[3,4]}', 2) == [3, 4]


def test_an_endpoint_of_bytes_gets_bytes() -> None:
    form = ArrayFormat(lambda items: b"\n".join(b"%d" % item for item in items), None)
    assert form.body([form.seal(1), form.seal(2)]) == b"1\n2"


def test_decode_may_fail_items() -> None:
    def decode(found: list[Any]) -> list[Any]:
        return [Failed("no", "bad") if each is None else each for each in found]

    value, error = ArrayFormat(None, decode).read(b"[1,null]", 2)
    assert value == 1
    assert isinstance(error, ItemFailed)


@pytest.mark.parametrize(("body", "said"), [(b"[1]", "1 results"), (b'{"a":1}', "dict"), (b"no", "no JSON")])
def test_an_array_of_another_length_is_not_shared_out(body: bytes, said: str) -> None:
    with pytest.raises(UnusableAnswer, match=said):
        ArrayFormat(None, None).read(body, 2)


def test_a_decode_that_fails_is_named() -> None:
    with pytest.raises(UnusableAnswer, match=r"decode\(\) failed on the answer: KeyError"):
        ArrayFormat(None, lambda found: found["nobody"]).read(b"{}", 2)
