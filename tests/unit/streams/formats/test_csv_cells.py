"""Lines of CSV made column by column are those of the module csv."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.formats.csv_cells import line_of, lines_of

CELLS = st.one_of(
    st.text(alphabet='ab,"\n\r;\t \x00é', max_size=5), st.integers(), st.floats(allow_nan=False), st.none()
)


def read(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def shown(value: Any) -> str:
    return "" if value is None else str(value)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width))))
def test_lines_are_read_back_as_what_was_written(rows: list[list[Any]]) -> None:
    columns = [[row[place] for row in rows] for place in range(len(rows[0]) if rows else 1)]
    for delimiter in (",", "\t"):
        assert read(lines_of(columns, delimiter), delimiter) == [list(map(shown, row)) for row in rows]


def test_only_cells_that_need_quotes_get_them() -> None:
    columns = [["a", "b,c"], ["\n", "\r"], ['"', "d"], [1, 2.5]]
    assert lines_of(columns, ",") == 'a,"\n","""",1\n"b,c","\r",d,2.5\n'


def test_truths_times_and_lists_have_a_text_of_their_own() -> None:
    assert line_of([True, False, [1, "a"], {"b": None}], ",") == 'true,false,"[1,""a""]","{""b"":null}"\n'


@given(st.lists(st.one_of(st.floats(), st.integers()), min_size=1), st.integers(-8, 20))
def test_numbers_are_as_repr_has_them(values: list[Any], exponent: int) -> None:
    scaled = [value * 10.0**exponent if isinstance(value, float) else value for value in values]
    assert lines_of([scaled, scaled], ",") == "".join(f"{value!r},{value!r}\n" for value in scaled)


@pytest.mark.parametrize(
    "value",
    [1e-4, 1e-5, 10.00001, 1e15, 1e16, 1e22, -0.0, float("inf"), float("nan"), 5e-324, 2**64, -(10**40)],
)
def test_a_number_at_the_edge_of_a_form_is_as_repr_has_it(value: float) -> None:
    assert line_of([1, value], ",") == f"1,{value!r}\n"


def test_a_number_that_holds_the_delimiter_is_quoted() -> None:
    assert line_of([1.5, 2, -3, "a"], ".") == '"1.5".2.-3.a\n'
    assert line_of([1.5, 21, -3], "-") == '1.5-21-"-3"\n'


class Word(str):
    """A string of another type."""

    __slots__ = ()

    def __str__(self) -> str:
        return "shown otherwise"


def test_a_string_of_another_type_is_its_text() -> None:
    assert lines_of([[Word("a,b"), "c"], [Word("d"), None], [1, Word("e")]], ",") == '"a,b",d,1\nc,,e\n'
