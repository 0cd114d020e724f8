from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.item_count import has_far_too_many_items

ITEMS = st.lists(
    st.recursive(
        st.none() | st.text(alphabet='[]{}",\\', max_size=4),
        lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=2), inner, max_size=30),
        max_leaves=60,
    ),
    max_size=8,
)


@given(ITEMS, st.integers(1, 8))
def test_a_batch_within_its_limit_is_never_taken_for_more(items: list[object], limit: int) -> None:
    for body in (items, {"items": [{"data": item, "id": "a,"} for item in items]}):
        surely = has_far_too_many_items(json.dumps(body).encode(), limit)
        assert not surely or len(items) > limit


@pytest.mark.parametrize("item", [b"1", b"{}", b'"a,b"', b'{"data":{"a":[1,2,3]}}'])
@pytest.mark.parametrize(("head", "tail"), [(b" [", b"]"), (b'{"items":[', b"]}"), (b"[", b"")])
def test_far_too_many_items_are_seen_however_they_are_written(item: bytes, head: bytes, tail: bytes) -> None:
    assert has_far_too_many_items(head + b",".join([item] * 40_000) + tail, 1000)


def test_few_items_of_many_members_are_few() -> None:
    item = b'{"data":[' + b"1," * 50_000 + b"1]}"
    assert not has_far_too_many_items(b'{"items":[' + b",".join([item] * 10) + b"]}", 1000)
