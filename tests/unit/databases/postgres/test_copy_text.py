from __future__ import annotations

import enum
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.databases.postgres import copy_text as module
from gristmill.databases.postgres.copy_text import NoText, copy_text
from gristmill.databases.table import Column

COLUMNS = [
    Column(name="name", type="text"),
    Column(name="age", type="bigint"),
    Column(name="is_in", type="boolean"),
]
CHARACTERS = st.one_of(st.sampled_from("\\\t\n\rN.tn,"), st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(
    st.tuples(
        st.none() | st.text(CHARACTERS),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
    ),
    min_size=1,
)
_UNESCAPED = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def read(field: str) -> str | None:
    """Read a field as PostgreSQL's manual says of COPY."""
    if field == r"\N":
        return None
    pieces = iter(field)
    return "".join(_UNESCAPED[next(pieces)] if each == "\\" else each for each in pieces)


def rows_of(text: str) -> list[tuple[Any, ...]]:
    assert text.endswith("\n")
    assert "\r" not in text  # which the server might take for the end of a line
    found = []
    for line in text[:-1].split("\n"):
        name, age, is_in = map(read, line.split("\t"))
        found.append(
            (
                name,
                None if age is None else int(age),
                None if is_in is None else {"t": True, "f": False}[is_in],
            )
        )
    return found


def text_of(columns: list[Column], *values: list[Any]) -> str:
    made = copy_text(columns, values)
    assert made is not None
    return b"".join(made.pieces()).decode()


@example([("\r", 1, True)])
@given(ROWS)
def test_rows_are_read_back_as_they_were(rows: list[tuple[Any, ...]]) -> None:
    assert rows_of(text_of(COLUMNS, *(list(each) for each in zip(*rows, strict=True)))) == rows


@given(ROWS)
def test_rows_are_the_same_in_pieces(rows: list[tuple[Any, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", 2)
        made = copy_text(COLUMNS, [list(each) for each in zip(*rows, strict=True)])
        assert made is not None
        pieces = list(made.pieces())
    assert len(pieces) == (len(rows) + 1) // 2
    assert [row for piece in pieces for row in rows_of(piece.decode())] == rows


def test_a_large_text_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BYTES", 10)
    made = copy_text(COLUMNS[:1], [["x" * 25, "ü" * 4, "y"]])
    assert made is not None
    parts = list(made.pieces())
    assert list(map(len, parts)) == [10, 10, 10, 7]
    assert b"".join(parts).decode() == "x" * 25 + "\nüüüü\ny\n"


def test_text_that_looks_like_a_null_is_none() -> None:
    assert text_of(COLUMNS[:1], [r"\N", None]) == "\\\\N\n\\N\n"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("text", 1),
        ("text", uuid.UUID(int=1)),
        ("character varying", b"a"),
        ("integer", "1"),
        ("integer", True),
        ("bigint", Level.LOW),
        ("smallint", 1.0),
        ("boolean", 1),
        ("date", "2020-01-01"),
        ("double precision", 1.0),
        ("bytea", "a"),
    ],
)
def test_what_the_server_might_take_otherwise_has_no_text(type: str, value: Any) -> None:
    assert copy_text([Column(name="v", type=type)], [[value]]) is None


def test_a_value_of_another_type_is_found_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    made = copy_text(COLUMNS[1:2], [[1, 2, 3, "4"]])
    assert made is not None
    with pytest.raises(NoText):
        list(made.pieces())


async def test_a_character_that_utf_8_has_not_is_refused() -> None:
    made = copy_text(COLUMNS[:1], [["a", "\ud800"]])
    assert made is not None
    with pytest.raises(UnicodeEncodeError):
        _ = [piece async for piece in made]
