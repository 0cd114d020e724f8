"""A columnar handler is called with slices of a chunk; what it raises fails the rows it is about."""

import asyncio

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gristmill import Retry, batch
from gristmill.streams.worker.column_calls import LARGEST, ColumnCaller


class Marker:
    """Keeps what it is told."""

    def __init__(self):
        self.seen = []

    def running(self, first, stop):
        self.seen.append((first, stop))

    def idle(self):
        self.seen.append(None)


def rows(count):
    return pa.record_batch({"x": pa.array(range(count), pa.int64())})


def call(handler, count, batch_size=None, limit=None):
    marker = Marker()
    caller = ColumnCaller(handler, batch_size)
    try:
        return caller.call(rows(count), marker, limit), marker.seen
    finally:
        caller.close()


def results(called):
    return [value for reply in called.replies if reply.batch for value in reply.batch["x"].to_pylist()]


@batch
def same(items: pa.RecordBatch) -> pa.RecordBatch:
    return items


@pytest.mark.parametrize(
    ("handler", "batch_size", "limit", "expected"),
    [
        (same, None, None, [(0, 10)]),
        (same, 4, None, [(0, 4), (4, 8), (8, 10)]),
        (same, None, 6, [(0, 6), (6, 10)]),
        (batch(max_size=7)(same.func), None, None, [(0, 7), (7, 10)]),
    ],
)
def test_slices_are_as_large_as_may_be_and_marked(handler, batch_size, limit, expected):
    called, seen = call(handler, 10, batch_size, limit)

    assert results(called) == list(range(10))
    assert seen == [mark for span in expected for mark in (span, None)]
    assert called.batches == len(expected)


def test_no_call_is_larger_than_the_largest():
    called, _ = call(same, 4 * LARGEST)

    assert max(reply.asked for reply in called.replies) <= LARGEST
    assert results(called) == list(range(4 * LARGEST))


def test_the_first_call_is_small_where_nobody_says_how_large_it_is_so_that_a_slow_handler_has_time():
    called, _ = call(same, 4 * LARGEST)

    assert called.replies[0].asked <= 8192 < called.replies[-1].asked


def test_a_size_that_is_learnt_begins_small_and_covers_all_rows():
    called, _ = call(same, 500, "auto")

    assert results(called) == list(range(500))


def test_rows_for_which_it_raises_fail_and_no_others():
    @batch
    def picky(items: pa.RecordBatch) -> pa.RecordBatch:
        if pc.any(pc.equal(items["x"], 37)).as_py():
            raise ValueError("not 37")
        return items

    called, _ = call(picky, 100)

    assert results(called) == [number for number in range(100) if number != 37]
    assert called.indices() == results(called)
    ((index, failed),) = called.failures()
    assert index == 37
    assert "not 37" in str(failed.error)
    assert called.batches <= 2 * 7 + 1


def test_rows_that_it_fails_itself_are_left_out():
    @batch
    def odd(items: pa.RecordBatch) -> pa.RecordBatch:
        is_odd = pc.equal(pc.bit_wise_and(items["x"], 1), 1)
        return items.append_column("_error", pc.if_else(is_odd, "odd", None))

    called, _ = call(odd, 4, 2)

    assert results(called) == [0, 2]
    assert {index: failed.error for index, failed in called.failures()} == {1: "odd", 3: "odd"}
    assert called.replies[0].batch.schema.names == ["x"]


def test_a_reply_of_other_rows_fails_all_of_them_after_one_call():
    @batch
    def short(items: pa.RecordBatch) -> pa.RecordBatch:
        return items.slice(1)

    called, _ = call(short, 8)

    assert called.batches == 1
    assert {failed.code for _, failed in called.failures()} == {"handler_contract"}
    assert len(list(called.failures())) == 8


def test_what_may_be_tried_again_is_before_it_is_halved():
    seen = []

    @batch(retry=Retry(attempts=3, base=0, on=(ConnectionError,)))
    def shaky(items: pa.RecordBatch, ctx) -> pa.RecordBatch:
        seen.append((items.num_rows, ctx.attempt))
        if len(seen) < 3:
            raise ConnectionError("away")
        return items

    called, _ = call(shaky, 5)

    assert results(called) == list(range(5))
    assert seen == [(5, 1), (5, 2), (5, 3)]


def test_an_async_handler_runs_on_a_loop_that_is_kept():
    loops = set()

    @batch
    async def slow(items: pa.RecordBatch) -> pa.RecordBatch:
        loops.add(id(asyncio.get_running_loop()))
        return items

    called, _ = call(slow, 4, 2)

    assert results(called) == [0, 1, 2, 3]
    assert len(loops) == 1


def test_an_async_handler_that_takes_too_long_fails_its_rows_at_once():
    @batch(timeout=0.001)
    async def endless(items: pa.RecordBatch) -> pa.RecordBatch:
        await asyncio.Event().wait()
        return items

    called, _ = call(endless, 4)

    assert called.batches == 1
    assert {failed.code for _, failed in called.failures()} == {"deadline_exceeded"}


def test_a_probe_keeps_what_is_raised_to_itself():
    @batch
    def broken(items: pa.RecordBatch) -> pa.RecordBatch:
        raise ValueError("no")

    ColumnCaller(broken, None).probe(rows(3))
