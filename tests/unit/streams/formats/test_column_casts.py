"""Text becomes types; what does not fit is found, cell by cell, and nothing else suffers."""

import decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.formats.column_casts import cast_text, misfits, without
from gristmill.streams.formats.column_types import ColumnType


def cast(cells, name, *, is_inferred=False):
    array, bad = cast_text(pa.array(cells, pa.string()), ColumnType(name, is_inferred))
    return array.to_pylist(), bad


def test_empty_cells_are_null_except_in_text():
    assert cast(["1", ""], "int64") == ([1, None], {})
    assert cast(["a", ""], "string") == (["a", ""], {})


def test_cells_that_do_not_fit_are_named_and_the_others_are_read():
    assert cast(["1", "oops", "3", ""], "int64") == ([1, None, 3, None], {1: "'oops' is not int64"})


def test_a_number_that_is_too_large_does_not_fit():
    assert cast(["1", "9223372036854775808"], "int64") == (
        [1, None],
        {1: "'9223372036854775808' is not int64"},
    )


@pytest.mark.parametrize(("name", "cell"), [("int64", "007"), ("int64", "-0"), ("bool", "1")])
def test_an_inferred_type_takes_no_cell_that_would_lose_something(name, cell):
    assert cast([cell], name, is_inferred=True) == ([None], {0: f"{cell!r} is not {name}"})


def test_an_inferred_double_takes_no_more_digits_than_it_keeps():
    cells = ["1.5", "-12345678901234567.25", "0.1", "1e300"]

    found, bad = cast(cells, "double", is_inferred=True)

    assert found == [1.5, None, 0.1, 1e300]
    assert list(bad) == [1]


def test_a_type_that_was_said_is_taken_at_its_word():
    assert cast(["007"], "int64") == ([7], {})


def test_other_types_can_be_said():
    assert cast(["1.50", "x"], "decimal(12,2)")[0] == [decimal.Decimal("1.50"), None]
    assert cast(["2026-01-02", "yesterday"], "date32")[1] == {1: "'yesterday' is not date32"}


@given(st.lists(st.sampled_from(["1", "22", "x", "", "-5", "1.5", "9" * 30]), max_size=40))
def test_whatever_is_bad_the_rest_is_as_if_alone(cells):
    found, bad = cast(cells, "int64")

    for index, cell in enumerate(cells):
        alone, alone_bad = cast([cell], "int64")
        assert found[index] == alone[0]
        assert (index in bad) == bool(alone_bad)


def test_misfits_costs_little_where_few_are_bad():
    calls = 0

    def convert(part):
        nonlocal calls
        calls += 1
        return pc.cast(part, pa.int8())

    array = pa.array([1] * 500 + [300] + [1] * 523)

    assert misfits(array, convert) == [500]
    assert calls <= 2 * 10 + 1  # halves of 1024 until one value stands alone


def test_without_puts_null_in_place():
    assert without(pa.array([1, 2, 3]), [0, 2]).to_pylist() == [None, 2, None]
