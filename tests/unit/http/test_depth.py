from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.depth import exceeds_depth

TEXTS = st.text(alphabet='[]{}"\\ab:,\n', max_size=12)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=60,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(value=VALUES, ascii_only=st.booleans())
def test_the_limit_is_exact_for_every_json_text(value: object, *, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    depth = depth_of(value)
    assert not exceeds_depth(text, depth)
    assert depth == 0 or exceeds_depth(text, depth - 1)


@given(
    values=st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), min_size=1, max_size=5),
    limit=st.integers(1, 12),
)
def test_what_is_said_of_objects_side_by_side_changes_no_answer(
    values: list[dict[str, object]], limit: int
) -> None:
    text = json.dumps(values).encode()
    assert exceeds_depth(text, limit, len(values) - 1) == (depth_of(values) > limit)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_counted_past_the_limit_and_not_before(opening: bytes) -> None:
    assert not exceeds_depth(opening * 64, 64)
    assert exceeds_depth(opening * 65, 64)


def test_a_hundred_thousand_brackets_are_too_deep() -> None:
    assert exceeds_depth(b"[" * 100_000, 64)


def test_many_shallow_containers_are_not_deep() -> None:
    assert not exceeds_depth(b"[" + b"[{}]," * 100_000 + b"1]", 64)


def test_brackets_in_strings_cannot_hide_depth() -> None:
    closing = json.dumps("]" * 200).encode()
    text = b"[" * 40 + closing + b',"\\\\",' + b"[" * 40 + b"]" * 80
    assert exceeds_depth(text, 64)
    assert not exceeds_depth(text, 80)


def test_a_bytearray_is_read_like_bytes() -> None:
    assert exceeds_depth(bytearray(b"[" * 65), 64)


@given(text=st.text(alphabet="[]{}", max_size=40), limit=st.integers(0, 12))
def test_what_is_no_json_is_counted_bracket_by_bracket(text: str, limit: int) -> None:
    level = peak = 0
    for sign in text:
        level += 1 if sign in "[{" else -1
        peak = max(peak, level)
    assert exceeds_depth(text.encode(), limit) == (peak > limit)
