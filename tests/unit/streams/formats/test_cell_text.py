"""Handlers of columns and of rows have one text for one value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.streams.formats.cell_text import as_python, as_text, python_values
from gristmill.streams.formats.column_text import CsvColumnEncoder, rows_of
from gristmill.streams.formats.csv_writing import CsvRowEncoder

TIMES = st.datetimes()
WALL = st.times()
FLOATS = st.floats()
MILLIS = TIMES.map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))
RECENT = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2030, 1, 1))  # noqa: DTZ001 - and without odd offsets
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small int": (pa.uint8(), st.integers(0, 255)),
    "bool": (pa.bool_(), st.booleans()),
    "double": (pa.float64(), FLOATS),
    "whole double": (pa.float64(), st.integers(-(2**60), 2**60).map(float)),
    "text": (pa.string(), st.text()),
    "large text": (pa.large_string(), st.text()),
    "bytes": (pa.binary(), st.binary()),
    "large bytes": (pa.large_binary(), st.binary()),
    "few bytes": (pa.binary(3), st.binary(min_size=3, max_size=3)),
    "date": (pa.date32(), st.dates()),
    "date64": (pa.date64(), st.dates()),
    "timestamp": (pa.timestamp("us"), TIMES),
    "timestamp of seconds": (pa.timestamp("s"), TIMES.map(lambda time: time.replace(microsecond=0))),
    "timestamp of milliseconds": (pa.timestamp("ms"), MILLIS),
    "timestamp in UTC": (pa.timestamp("us", "UTC"), RECENT),
    "timestamp in Berlin": (pa.timestamp("us", "Europe/Berlin"), RECENT),
    "timestamp in London": (
        pa.timestamp("ms", "Europe/London"),
        RECENT.map(lambda time: time.replace(microsecond=0)),
    ),
    "timestamp in Kolkata": (pa.timestamp("us", "Asia/Kolkata"), RECENT),
    "time": (pa.time64("us"), WALL),
    "time of milliseconds": (pa.time32("ms"), WALL.map(lambda time: time.replace(microsecond=5000))),
    "time of seconds": (pa.time32("s"), WALL.map(lambda time: time.replace(microsecond=0))),
    "duration": (pa.duration("us"), st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999))),
    "decimal": (pa.decimal128(20, 5), st.decimals(-(10**14), 10**14, places=5)),
    "whole decimal": (pa.decimal128(20, 0), st.integers(-(10**19), 10**19).map(Decimal)),
    "list": (pa.list_(pa.float64()), st.lists(st.floats(allow_nan=False, allow_infinity=False))),
    "struct": (
        pa.struct({"a": pa.float64(), "b": pa.date32()}),
        st.fixed_dictionaries({"a": st.none() | st.floats(0, 9), "b": st.none() | st.dates()}),
    ),
    "map": (
        pa.map_(pa.string(), pa.int64()),
        st.dictionaries(st.text(), st.integers(0, 9)).map(lambda d: [*d.items()]),
    ),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), st.text()),
}


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None)
@given(data=st.data())
def test_a_value_has_one_text_whether_it_comes_in_a_column_or_a_row(name: str, data: st.DataObject) -> None:
    kind, values = KINDS[name]
    column = pa.array(data.draw(st.lists(st.none() | values, min_size=1, max_size=8)), kind)
    batch = pa.RecordBatch.from_arrays([column, column], names=["a", "b"])
    by_columns, by_rows = CsvColumnEncoder(",", None), CsvRowEncoder(",", None)
    rows = rows_of(batch)
    written, _ = by_columns.encode([batch], by_columns.layout(batch))
    assert bytes(written) == by_rows.encode(rows, by_rows.layout(rows))[0]


@given(st.lists(st.none() | FLOATS))
@example(
    [100.0, 0.0, -0.0, 1e16, 1e15, 9999999999.0, 1e10, 0.0001, 0.00001, float("nan"), float("-inf"), None]
)
def test_floats_are_as_python_has_them(values: list[float | None]) -> None:
    column = pa.array(values, pa.float64(), from_pandas=False)
    assert as_text(column).to_pylist() == [None if each is None else repr(each) for each in values]


def test_a_slice_is_its_own_values() -> None:
    assert as_text(pa.array([1.0, 2.5, 1e-9, None]).slice(1, 2)).to_pylist() == ["2.5", "1e-09"]


def test_floats_of_32_bits_have_the_digits_of_their_precision() -> None:
    assert as_text(pa.array([0.1, 100.0, 1e-7], pa.float32())).to_pylist() == ["0.1", "100.0", "1e-07"]


def test_nanoseconds_are_kept_where_there_are_any() -> None:
    times = pa.array([1, 1_000_000_000], pa.timestamp("ns"))
    assert as_text(times).to_pylist() == ["1970-01-01T00:00:00.000000001", "1970-01-01T00:00:01.000000000"]
    assert as_text(times.slice(1)).to_pylist() == ["1970-01-01T00:00:01"]


STAMP = pa.timestamp("ns", "UTC")
INSTANT = dt.datetime(1970, 1, 1, 0, 0, 0, 1, dt.UTC)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1500, None], STAMP), [INSTANT, None]),
        (pa.array([1500], pa.duration("ns")), [dt.timedelta(microseconds=1)]),
        (
            pa.array([{"a": 1500, "b": 2}], pa.struct([("a", STAMP), ("b", pa.int8())])),
            [{"a": INSTANT, "b": 2}],
        ),
        (pa.array([[1500], None], pa.list_(STAMP)), [[INSTANT], None]),
        (pa.array([[1500]], pa.large_list(STAMP)), [[INSTANT]]),
        (pa.array([[1500]], pa.list_(STAMP, 1)), [[INSTANT]]),
        (pa.array([[("k", 1500)]], pa.map_(pa.string(), STAMP)), [[("k", INSTANT)]]),
        (pa.array([1500, 1500], STAMP).dictionary_encode(), [INSTANT, INSTANT]),
    ],
)
def test_nanoseconds_become_what_python_has_and_not_what_pandas_has(column, expected):
    found = as_python(column).to_pylist()
    assert found == expected
    assert "Timestamp" not in repr(found)
    assert "Timedelta" not in repr(found)


def test_columns_without_nanoseconds_are_left_alone():
    for column in (pa.array([[1]]), pa.array([1], pa.timestamp("us")), pa.array(["x"]).dictionary_encode()):
        assert as_python(column) is column


def test_a_map_is_a_dict_in_whatever_it_stands():
    maps = pa.map_(pa.string(), pa.int64())
    nested = pa.array([[{"m": [("a", 1)]}], None], pa.list_(pa.struct([("m", maps)])))

    assert python_values(pa.array([[("a", 1), ("b", None)], [], None], maps)) == [
        {"a": 1, "b": None},
        {},
        None,
    ]
    assert python_values(nested) == [[{"m": {"a": 1}}], None]
    assert python_values(pa.array([[(5, "x")]], pa.map_(pa.int32(), pa.string()))) == [{5: "x"}]


def test_nothing_of_a_map_that_no_dict_can_be_is_lost():
    twice = pa.array([[("a", 1), ("a", 2)], [("b", 3)]], pa.map_(pa.string(), pa.int64()))
    of_truths = pa.array([[(True, 1)]], pa.map_(pa.bool_(), pa.int64()))

    assert python_values(twice) == [[("a", 1), ("a", 2)], {"b": 3}]
    assert python_values(of_truths) == [[(True, 1)]]
