"""Values go into a type whole, or are said not to fit: nothing of them is dropped without a word."""

import datetime as dt

import pyarrow as pa
import pytest

from gristmill.streams.formats.exact_values import cast_whole, is_cut

MORNING = dt.datetime(2020, 1, 1, 5)  # noqa: DTZ001 - without a zone on purpose
UTC = MORNING.replace(tzinfo=dt.UTC)
X = pa.struct([("x", pa.int64())])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"x": 1, "y": 2}, X),
        ([{"x": 1}, {"y": 2}], pa.list_(X)),
        ([("a", {"y": 2})], pa.map_(pa.string(), X)),
        ([("x", 1), ("y", 2)], X),
        (MORNING, pa.date32()),
        (UTC, pa.timestamp("us")),
        (MORNING, pa.timestamp("us", "UTC")),
        (5, pa.timestamp("us")),
        (5, pa.date32()),
        (5, pa.duration("us")),
        (dt.time(1, tzinfo=dt.UTC), pa.time64("us")),
    ],
    ids=repr,
)
def test_what_arrow_would_cut_is_found(value, kind):
    assert pa.array([value], kind) is not None  # it takes it without a word
    assert is_cut(value, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, X),
        ({"x": 1}, X),
        ({}, X),
        ([None, {"x": 1}], pa.list_(X)),
        ({"a": {"x": 1}}, pa.map_(pa.string(), X)),
        (MORNING, pa.timestamp("us")),
        (UTC, pa.timestamp("us", "Europe/Berlin")),
        (dt.date(2020, 1, 1), pa.date32()),
        (dt.time(1), pa.time64("us")),
        (dt.timedelta(1), pa.duration("us")),
        (1, pa.int64()),
    ],
    ids=repr,
)
def test_what_fits_is_not(value, kind):
    assert not is_cut(value, kind)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"x": 1, "y": 2}], X),
        ([[{"x": 1, "y": 2}]], pa.list_(X)),
        ([MORNING], pa.date32()),
        ([0.1], pa.float32()),
        ([2], pa.bool_()),
        ([1.25], pa.decimal128(10, 1)),
    ],
    ids=repr,
)
def test_a_cast_that_does_not_come_back_is_none(values, kind):
    with pytest.raises(pa.ArrowInvalid, match="loses a part"):
        cast_whole(pa.array(values), kind)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1, None]), pa.int8()),
        (pa.array([0.5, float("nan"), None], pa.float32()), pa.float64()),
        (pa.array([0.5, float("nan"), None], pa.float64()), pa.float32()),
        (pa.array([dt.date(2020, 1, 1)]), pa.timestamp("us")),
        (pa.array([{"x": 1}]), pa.struct([("x", pa.int64()), ("y", pa.int64())])),
        (pa.array(["1.50"]), pa.float64()),
        (pa.array([0.1]), pa.string()),
        (pa.nulls(2), pa.int64()),
    ],
)
def test_a_cast_that_loses_nothing_is_done(array, kind):
    assert cast_whole(array, kind).type == kind
