from __future__ import annotations

import json
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.batch_request import BatchReader, BatchRequest
from gristmill.http.codec import item_codec
from gristmill.http.problems import Refused
from gristmill.http.settings import HttpLimits
from gristmill.wire import Complaint, Problem


class Text(msgspec.Struct):
    text: str


class Model(pydantic.BaseModel):
    text: str


def read(body: Any, annotation: Any = Text, *, lines: bool = False, **limits: int) -> BatchRequest:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BatchReader(item_codec(annotation), HttpLimits(**limits)).read(text, lines=lines)


def refusal(body: Any, annotation: Any = Text, **options: Any) -> Problem:
    with pytest.raises(Refused) as caught:
        read(body, annotation, **options)
    return caught.value.problem


def codes(request: BatchRequest) -> dict[int, str]:
    return {index: found.code for index, found in request.refused.items()}


def pointers(found: Problem) -> list[str]:
    assert isinstance(found.errors, list)
    return [complaint.pointer for complaint in found.errors]


@pytest.mark.parametrize("annotation", [Text, Model, Any])
def test_an_envelope_gives_items_in_order_with_their_ids(annotation: Any) -> None:
    request = read({"items": [{"id": "a", "data": {"text": "x"}}, {"data": {"text": "y"}}]}, annotation)
    assert request.ids == ["a", None]
    assert request.positions is None
    assert [item["text"] if annotation is Any else item.text for item in request.items] == ["x", "y"]


@pytest.mark.parametrize("annotation", [Text, Model])
def test_a_bare_array_and_lines_are_shorthand_for_an_envelope(annotation: Any) -> None:
    expected = [annotation(text="x"), annotation(text="y")]
    assert read([{"text": "x"}, {"text": "y"}], annotation).items == expected
    assert read(b'{"text":"x"}\n\r\n{"text":"y"}\n', annotation, lines=True).items == expected


@pytest.mark.parametrize("body", [[], {"items": []}, b" [ ] ", b' {"items":[]}'])
def test_an_empty_batch_is_a_batch(body: object) -> None:
    request = read(body)
    assert (request.total, request.items, request.refused) == (0, [], {})


def test_members_we_do_not_know_are_ignored() -> None:
    request = read({"items": [{"data": {"text": "x", "more": 1}, "hint": 2}], "trace": True})
    assert request.items == [Text("x")]


@pytest.mark.parametrize("annotation", [Text, Model])
def test_one_wrong_item_of_a_hundred_is_told_apart(annotation: Any) -> None:
    entries: list[Any] = [{"id": f"i{n}", "data": {"text": "x"}} for n in range(100)]
    entries[41]["data"]["text"] = 7
    request = read({"items": entries}, annotation)
    assert codes(request) == {41: "invalid_item"}
    assert pointers(request.refused[41]) == ["#/items/41/data/text"]
    assert len(request.items) == 99
    assert request.positions == [*range(41), *range(42, 100)]
    assert request.ids == [f"i{n}" for n in range(100)]


def test_an_entry_that_is_no_entry_fails_alone() -> None:
    request = read({"items": [3, {"text": "x"}, {"data": {"text": "y"}}, None]})
    assert codes(request) == dict.fromkeys((0, 1, 3), "invalid_item")
    assert request.items == [Text("y")]
    assert request.refused[1].errors == [
        Complaint("#/items/1", 'missing `data`: an entry is {"data": <the item>}')
    ]


def test_pointers_of_a_bare_array_have_no_envelope() -> None:
    assert pointers(read([{"text": "x"}, {"text": 1}]).refused[1]) == ["#/1/text"]


@pytest.mark.parametrize("body", [{}, {"items": 3}, {"items": None}, 3, "x", None, True])
def test_what_is_no_batch_is_refused_whole(body: object) -> None:
    found = refusal(body)
    assert (found.code, found.status) == ("invalid_batch", 422)


@pytest.mark.parametrize("annotation", [Text, Model, Any])
@pytest.mark.parametrize("number", ["NaN", "1e999", "1" * 5000, '"\\ud800"'])
def test_text_that_is_not_json_anywhere_refuses_the_whole(annotation: Any, number: str) -> None:
    body = b'{"items":[{"data":{"text":"x"}},{"data":{"text":%b}}]}' % number.encode()
    assert refusal(body, annotation).code == "malformed_json"


def test_a_body_cut_off_is_refused_at_its_end() -> None:
    found = refusal(b'{"items":[')
    assert (found.code, found.offset) == ("malformed_json", 10)


@pytest.mark.parametrize("annotation", [Text, Model])
@pytest.mark.parametrize("bad", ["", "a\r\nb", "a\x00", "a" * 129, "a\n", "\n", "ü", "a b", 7, ["a"]])
def test_an_id_out_of_its_alphabet_refuses_the_whole(annotation: Any, bad: object) -> None:
    found = refusal(
        {"items": [{"id": "ok", "data": {"text": "x"}}, {"id": bad, "data": {"text": "x"}}]}, annotation
    )
    assert (found.code, found.status) == ("invalid_item_id", 422)
    assert pointers(found) == ["#/items/1/id"]


def test_the_longest_id_is_taken() -> None:
    name = "aZ09._:-" * 16
    assert read({"items": [{"id": name, "data": {"text": "x"}}]}).ids == [name]


@pytest.mark.parametrize("text", ["x", 7])
def test_an_id_given_twice_refuses_the_whole_and_points_at_both(text: object) -> None:
    entries = [{"id": name, "data": {"text": text}} for name in ("a", "b", "a")]
    found = refusal({"items": entries})
    assert (found.code, found.status) == ("duplicate_item_id", 422)
    assert pointers(found) == ["#/items/0/id", "#/items/2/id"]


@pytest.mark.parametrize("annotation", [Text, Model])
def test_more_items_than_allowed_refuse_the_whole(annotation: Any) -> None:
    item = {"text": "x"}
    for body in ({"items": [{"data": item}] * 4}, [item] * 4, [{"text": 1}] * 4):
        found = refusal(body, annotation, batch_items=3)
        assert (found.code, found.status, found.limit_items) == ("too_many_items", 413, 3)
    assert refusal(b'{"text":"x"}\n' * 4, annotation, lines=True, batch_items=3).code == "too_many_items"
    assert read([item] * 3, annotation, batch_items=3).total == 3


@pytest.mark.parametrize("annotation", [Text, Model])
def test_an_oversize_item_fails_alone(annotation: Any) -> None:
    texts = ["x", "y" * 200, "z"]
    for body in (
        {"items": [{"data": {"text": text}} for text in texts]},
        [{"text": text} for text in texts],
    ):
        request = read(body, annotation, item_bytes=100)
        assert codes(request) == {1: "too_large"}
        assert (request.refused[1].status, request.refused[1].limit_bytes) == (413, 100)
        assert [item.text for item in request.items] == ["x", "z"]


@pytest.mark.parametrize("annotation", [Text, Model])
def test_a_malformed_line_fails_alone(annotation: Any) -> None:
    lines = b'{"text":"x"}\n{"text":\n{"text":NaN}\n{"text":7}\n"\xff"\n' + b"[" * 65 + b'\n{"text":"y"}'
    request = read(lines, annotation, lines=True)
    assert codes(request) == {
        1: "malformed_json",
        2: "malformed_json",
        3: "invalid_item",
        4: "malformed_json",
        5: "too_deep",
    }
    assert pointers(request.refused[3]) == ["#/3/text"]
    assert request.items == [annotation(text="x"), annotation(text="y")]
    assert request.positions == [0, 6]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(DATA, max_size=8), st.integers(1, 200))
def test_all_three_forms_carry_the_same_items(items: list[Any], item_bytes: int) -> None:
    forms = (
        read({"items": [{"data": item, "id": f"i{n}"} for n, item in enumerate(items)]}, Any),
        read(items, Any),
        read(b"\n".join(json.dumps(item).encode() for item in items), Any, lines=True),
        read(
            {"items": [{"data": item} for item in items]},
            int | str | list[Any] | dict[str, Any] | bool | None,
        ),
    )
    assert [form.items for form in forms] == [items] * 4
    small = read({"items": [{"data": item} for item in items]}, Any, item_bytes=item_bytes)
    assert len(small.items) + len(small.refused) == small.total == len(items)
    assert set(codes(small).values()) <= {"too_large"}


class Tags(msgspec.Struct):
    tags: list[str]


@pytest.mark.parametrize("annotation", [Text, Tags, dict, list[int], Any, Text | None])
@pytest.mark.parametrize("enveloped", [True, False])
@pytest.mark.parametrize("place", [0, 20, 39])
def test_one_deep_item_among_many_is_found_in_whatever_form(
    annotation: Any, place: int, *, enveloped: bool
) -> None:
    # What the type does not name is passed over by the parser, but not by the limit.
    item: Any = [1] if annotation == list[int] else {"text": "[{", "tags": ["x"]}
    deep: Any = "x"
    for _ in range(9):
        deep = [deep]
    deep = [1, *deep] if annotation == list[int] else {**item, "more": deep}
    items = [deep if index == place else item for index in range(40)]
    body = {"items": [{"data": one} for one in items]} if enveloped else items
    levels = 12 if enveloped else 10
    levels += annotation != list[int]
    if annotation != list[int]:
        read(body, annotation, depth=levels)
    assert refusal(body, annotation, depth=levels - 1).code == "too_deep"


def test_depth_beside_the_items_of_an_envelope_counts_too() -> None:
    body = {"items": [{"data": {"text": "x"}} for _ in range(40)], "more": [[[[[[[["x"]]]]]]]]}
    assert read(body, depth=9).total == 40
    assert refusal(body, depth=8).code == "too_deep"
