from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.databases.postgres.joining import joined, may_join
from gristmill.databases.table import Column, Family

TEXT = Column(name="v", type="text", family=Family.TEXT)
BIGINT = Column(name="v", type="bigint")
SMALLINT = Column(name="v", type="smallint")
JSON = Column(name="v", type="jsonb", family=Family.JSON)


def split(text: str) -> list[str | None]:
    """Do as PostgreSQL's ``string_to_array`` does."""
    return [None if each == "\x1e" else each for each in text.split("\x1f")] if text else []


@given(st.lists(st.none() | st.text(st.one_of(st.sampled_from("\x1e\x1fa"), st.characters()))))
@example(["", ""])
@example([""])
@example(["\x1e", "a"])
@example([None, "a\x1eb"])
def test_texts_are_split_as_they_were_or_not_joined(values: list[str | None]) -> None:
    text = joined(TEXT, values)
    if text is not None:
        assert split(text) == values
    elif len(values) > 1:
        assert any("\x1e" in each or "\x1f" in each for each in values if each)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2))
def test_numbers_are_split_as_they_were(values: list[int]) -> None:
    text = joined(BIGINT, values)
    assert text is not None
    assert [int(each or "") for each in split(text)] == values


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (TEXT, ["a", 1]),
        (TEXT, ["a", b"b"]),
        (BIGINT, [1, None]),
        (BIGINT, [1, True]),
        (BIGINT, [1, 1.0]),
        (BIGINT, [1, "1"]),
        (BIGINT, [1, Level.LOW]),
        (BIGINT, [1, 2**63]),
        (BIGINT, [1, -(2**63) - 1]),
        (SMALLINT, [1, 2**15]),
        (Column(name="v", type="boolean"), [True, False]),
        (Column(name="v", type="citext", family=Family.ARRAY), ["a", "b"]),
    ],
)
def test_what_the_server_might_read_otherwise_is_not_joined(column: Column, values: list[Any]) -> None:
    assert joined(column, values) is None


def test_json_travels_as_text() -> None:
    assert may_join(JSON)
    assert joined(JSON, ['{"a": 1}', None]) == '{"a": 1}\x1f\x1e'
