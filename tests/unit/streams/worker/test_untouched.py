"""A column is untouched where it is the memory that was read: all rows of it, in order."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gristmill.model.outcome import Failed
from gristmill.streams.worker.column_calls import Reply
from gristmill.streams.worker.untouched import goes_on, untouched

ROWS = pa.record_batch({"a": [1, 2, 3, 4], "b": ["w", None, "y", "z"], "c": [True, None, False, True]})


def replies(function, given=ROWS, size=4):
    return [
        Reply(first, size, function(given.slice(first, size)), {}) for first in range(0, given.num_rows, size)
    ]


def found(function, given=ROWS, size=4):
    return untouched(given, replies(function, given, size))


ALL = {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("size", [4, 2, 1])
@pytest.mark.parametrize("given", [ROWS, pa.concat_batches([ROWS] * 3).slice(4, 8)])
def test_what_a_handler_returns_as_it_came_is_untouched_in_one_slice_or_several(given, size):
    assert found(lambda rows: rows, given, size) == ALL
    assert found(lambda rows: rows.append_column("d", pc.add(rows["a"], 1)), given, size) == ALL


def test_a_column_may_have_another_name_and_place():
    assert found(lambda rows: rows.select(["c", "a"]).rename_columns(["x", "b"])) == {"x": "c", "b": "a"}
    assert found(lambda rows: rows.append_column("d", rows["a"])) == {**ALL, "d": "a"}


def test_a_column_that_was_counted_anew_is_touched_though_its_values_are_the_same():
    assert found(lambda rows: rows.set_column(0, "a", pc.add(rows["a"], 0))) == {"b": "b", "c": "c"}


def test_another_type_over_the_same_memory_is_touched():
    assert found(lambda rows: rows.set_column(0, "a", rows["a"].view(pa.uint64()))) == {"b": "b", "c": "c"}


def test_the_memory_without_its_nulls_is_touched():
    def filled(rows):
        validity, offsets, data = rows["b"].buffers()
        assert validity is not None
        return rows.set_column(1, "b", pa.Array.from_buffers(pa.string(), 4, [None, offsets, data]))

    assert found(filled) == {"a": "a", "c": "c"}


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: rows.take([3, 2, 1, 0]),
        lambda rows: pa.concat_batches([rows.slice(2), rows.slice(0, 2)]),
    ],
)
def test_rows_in_another_order_are_touched(function):
    assert found(function) == {}


def test_rows_of_another_slice_are_touched():
    moved = [Reply(0, 2, ROWS.slice(2), {}), Reply(2, 2, ROWS.slice(0, 2), {})]
    assert untouched(ROWS, moved) == {}


@pytest.mark.parametrize(
    "said",
    [
        [],
        [Reply(0, 2, ROWS.slice(0, 2), {})],  # the rest was not run
        [Reply(0, 4, ROWS.slice(0, 3), {3: Failed("no", "no")})],
        [Reply(0, 2, ROWS.slice(0, 2), {}), Reply(2, 2, None, dict.fromkeys((2, 3), Failed("no", "no")))],
        [Reply(0, 2, ROWS.slice(0, 2), {}), Reply(2, 2, ROWS.slice(2).select(["b", "a", "c"]), {})],
    ],
)
def test_nothing_is_untouched_where_rows_are_missing_or_replies_differ(said):
    assert untouched(ROWS, said) == {}


def test_a_column_must_be_the_same_one_in_all_replies():
    swapped = ROWS.slice(2).select(["a", "c", "b"]).rename_columns(["a", "b", "c"])
    assert untouched(ROWS, [Reply(0, 2, ROWS.slice(0, 2), {}), Reply(2, 2, swapped, {})]) == {"a": "a"}


def test_codes_of_a_dictionary_do_not_tell_its_values():
    given = pa.record_batch({"a": pa.array(["x", "y"]).dictionary_encode()})
    codes = given["a"].indices

    def other(rows):
        return pa.record_batch({"a": pa.DictionaryArray.from_arrays(codes, pa.array(["p", "q"]))})

    assert untouched(given, replies(other, given, 2)) == {}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda rows: rows, True),
        (lambda rows: rows.append_column("d", rows["a"]), True),
        (lambda rows: rows.append_column("d", pc.add(rows["a"], 1)), True),
        (lambda rows: rows.set_column(1, "b", pc.utf8_upper(rows["b"])), False),
        (lambda rows: rows.select(["b", "a", "c"]), False),
        (lambda rows: rows.select(["a", "b"]), False),
        (lambda rows: rows.add_column(0, "d", rows["a"]), False),
        (lambda rows: rows.rename_columns(["a", "c", "b"]), False),
        (lambda rows: rows.set_column(0, "a", pc.add(rows["a"], 1)).append_column("a", rows["a"]), False),
        (lambda rows: rows.slice(0, 1), False),
    ],
)
@pytest.mark.parametrize("size", [4, 2])
def test_a_result_goes_on_that_begins_with_all_columns_as_they_came(function, expected, size):
    assert goes_on(ROWS, replies(function, size=size)) is expected
