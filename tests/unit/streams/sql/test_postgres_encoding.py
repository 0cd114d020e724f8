from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.streams.sql.parts import Part, load_parts
from gristmill.streams.sql.postgres.encoding import CopyRecipe, records

TEXT = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["", "\\N", "\\.", '"', "\n", "\r\n", ",", "a\nb"]
)


def encoded(results: list[Any], *, is_order_kept: bool = False) -> tuple[list[Part], dict[int, str]]:
    recipe = CopyRecipe(
        table="t", kinds={"a": "", "b": "", "j": "json", "l": "array"}, is_order_kept=is_order_kept
    )
    body, bad = recipe.rows(Any).encode(results, None)
    return load_parts(body), dict(bad)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_records_are_cut_where_they_end(rows: list[tuple[str, str]]) -> None:
    parts, bad = encoded([{"a": a, "b": b} for a, b in rows])

    found = records(parts[0].data)

    assert not bad
    assert b"".join(found) == parts[0].data
    assert [tuple(next(csv.reader(io.StringIO(each.decode(), newline="")))) for each in found] == rows


def test_null_is_no_text() -> None:
    parts, _ = encoded([{"a": None, "b": ""}, {"a": "\\N", "b": "NULL"}])

    assert parts[0].data == b'\\N,""\n"\\N","NULL"\n'


def test_rows_of_the_same_columns_go_together_and_keep_their_numbers() -> None:
    parts, _ = encoded([{"a": 1}, {"a": 2, "b": 3}, {"a": 4}])

    assert [(part.columns, [part.index(row) for row in range(part.count)]) for part in parts] == [
        (("a",), [0, 2]),
        (("a", "b"), [1]),
    ]


def test_rows_that_may_not_overtake_one_another_stay_in_order() -> None:
    parts, _ = encoded([{"a": 1}, {"a": 2, "b": 3}, {"a": 4}], is_order_kept=True)

    assert [part.columns for part in parts] == [("a",), ("a", "b"), ("a",)]


def test_what_cannot_be_written_is_left_out_alone() -> None:
    parts, bad = encoded([{"a": "fine"}, {"a": "\ud800"}, {"a": object()}, {"c": 1}, {}, {"a": "too"}])

    assert set(bad) == {1, 2, 3, 4}
    assert [(part.index(0), part.index(1), part.data) for part in parts] == [(0, 5, b'"fine"\n"too"\n')]


class Row(msgspec.Struct):
    a: int | msgspec.UnsetType = msgspec.UNSET
    b: str = "x"


def test_an_unset_field_is_no_column() -> None:
    parts, _ = encoded([Row(1), Row()])

    assert [(part.columns, part.data) for part in parts] == [(("a", "b"), b'1,"x"\n'), (("b",), b'"x"\n')]


@pytest.mark.parametrize(
    ("row", "data"),
    [
        ({"j": {"a": None}}, b'"{""a"":null}"\n'),
        ({"j": True}, b'"true"\n'),
        ({"j": "[1]"}, b'"[1]"\n'),
        ({"l": [1, None, 'a"\\']}, b'"{""1"",NULL,""a\\""\\\\""}"\n'),
        ({"l": [[1], [2]]}, b'"{{""1""},{""2""}}"\n'),
        ({"a": b"\x00\xff"}, b'"\\x00ff"\n'),
    ],
)
def test_values_are_written_for_their_column(row: dict[str, Any], data: bytes) -> None:
    assert encoded([row])[0][0].data == data


def test_a_type_with_a_field_that_is_no_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="have b, and the table t has only a"):
        CopyRecipe(table="t", kinds={"a": ""}, is_order_kept=False).rows(Row)
