from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.chunk import Chunk, Result
from gristmill.streams.window import ChunkSizer, Rest, Window


def chunk(number: int) -> Chunk:
    return Chunk(number=number, source=0, start=number, end=number + 1)


@given(st.integers(1, 30), st.integers(1, 8), st.randoms(use_true_random=False))
def test_results_leave_in_order_whatever_the_order_they_come_in(
    many: int, limit: int, chance: random.Random
) -> None:
    window = Window(limit=limit, is_ordered=True)
    written: list[int] = []
    with_workers: list[int] = []
    given_out = 0
    while len(written) < many:
        while given_out < many and not window.is_full:
            window.give_out(chunk(given_out))
            with_workers.append(given_out)
            given_out += 1
        assert len(window.under_way) <= limit
        number = with_workers.pop(chance.randrange(len(with_workers)))
        for of, result in window.take(Result(number=number)):
            assert of.number == result.number
            written.append(of.number)
        assert window.is_waiting_for_order == (len(window.under_way) > len(with_workers))
    assert written == list(range(many))
    assert not window.under_way


def test_results_leave_as_they_come_where_order_is_given_up() -> None:
    window = Window(limit=3, is_ordered=False)
    for number in range(3):
        window.give_out(chunk(number))
    assert window.is_full
    assert [of.number for of, _ in window.take(Result(number=2))] == [2]
    assert list(window.under_way) == [0, 1]
    assert not window.is_full
    assert not window.is_waiting_for_order


def test_few_chunks_are_under_way_where_they_are_huge_and_never_fewer_than_workers() -> None:
    window = Window(limit=8, is_ordered=True, workers=2, most_bytes=100)
    sizes = [1000, 1000, 10, 50, 45, 1]
    for number, size in enumerate(sizes[:2]):
        assert not window.is_full
        window.give_out(Chunk(number=number, source=0, start=0, end=1, encoded=size))
    assert window.is_full
    for number in range(2):
        list(window.take(Result(number=number)))
    for number, size in enumerate(sizes[2:5], 2):
        assert not window.is_full
        window.give_out(Chunk(number=number, source=0, start=0, end=1, encoded=size))
    assert window.is_full


def test_chunks_become_as_large_as_what_is_done_in_the_time() -> None:
    sizer = ChunkSizer(1 << 20, seconds=1.0, first=1 << 16)
    assert sizer.size == 1 << 16
    sizer.record(1 << 16, 0.001)
    assert sizer.size == 1 << 17  # not more than twice as large at once
    for _ in range(10):
        sizer.record(sizer.size, 0.001)
    assert sizer.size == 1 << 20
    for _ in range(30):
        sizer.record(sizer.size, 60.0)
    assert sizer.size == 4 * 1024


def test_slow_handlers_get_what_takes_about_the_time() -> None:
    sizer = ChunkSizer(1 << 20, seconds=2.0)
    for _ in range(60):
        sizer.record(sizer.size, sizer.size / 50_000)
    assert 90_000 < sizer.size < 110_000


def test_empty_chunks_teach_nothing_and_small_limits_hold() -> None:
    sizer = ChunkSizer(100)
    for size, seconds in ((0, 1.0), (10, 0.0), (10, 1e-9), (10, 1e9)):
        sizer.record(size, seconds)
        assert sizer.size == 100


def test_handlers_of_many_rows_get_chunks_of_some_batches() -> None:
    sizer = ChunkSizer(1000, first=1000, most=50_000)
    for _ in range(20):
        sizer.record(1000, 100.0, rows=10, batch=100)
    assert sizer.size == 4 * 100 * 100
    for _ in range(20):
        sizer.record(1000, 100.0, rows=10, batch=10**6)
    assert sizer.size == 50_000


def planned(left: int, sizer: ChunkSizer) -> list[int]:
    """Return the sizes of the chunks of what is left."""
    sizes = []
    while left > 0:
        sizes.append(min(left, sizer.next(left)))
        left -= sizes[-1]
    return sizes


def test_the_last_chunks_of_a_slow_handler_are_small_so_that_all_workers_end_together() -> None:
    sizer = ChunkSizer(1 << 20, workers=2, first=1 << 17)
    for _ in range(20):
        sizer.record(100_000, 1.0)
    sizes = planned(1_000_000, sizer)
    assert 99_000 < sizes[0] <= 100_000
    assert sizes == sorted(sizes, reverse=True)
    assert all(9_900 < size <= 10_000 for size in sizes[-4:-1])  # what takes a tenth of a second
    assert sum(sizes) == 1_000_000


def test_the_last_chunks_of_a_fast_handler_stay_large() -> None:
    sizer = ChunkSizer(1 << 20, workers=4)
    for _ in range(60):
        sizer.record(sizer.size, sizer.size / 50_000_000)
    assert set(planned(10 << 20, sizer)) == {1 << 20}


def test_the_last_chunks_have_a_whole_batch() -> None:
    sizer = ChunkSizer(1 << 20, workers=2, first=1 << 17)
    for _ in range(20):
        sizer.record(100_000, 100.0, rows=1000, batch=500)
    assert planned(1_000_000, sizer)[-2] == 50_000


def test_the_first_chunks_of_a_short_input_leave_work_for_all() -> None:
    assert planned(60_000, ChunkSizer(1 << 20, workers=3))[:3] == [10_000, 8333, 6944]
    assert planned(10_000, ChunkSizer(1 << 20, workers=3)) == [4096, 4096, 1808]


def test_of_an_input_of_unknown_length_chunks_keep_their_size() -> None:
    assert ChunkSizer(1 << 20).next(None) == 16 * 1024
    assert Rest(None).size is None


def test_what_is_left_of_a_compressed_input_is_counted_as_text() -> None:
    rest = Rest(1000)
    assert rest.size == 1000
    rest.take(Chunk(number=0, source=0, start=0, end=800, weight=100))
    assert rest.size == 7200
    rest.take(Chunk(number=1, source=0, start=800, end=8000, weight=1100))  # its header counts as well
    assert rest.size == 0


def test_a_chunk_that_waits_again_keeps_its_place_in_the_order() -> None:
    window = Window(limit=3, is_ordered=True)
    for number in range(3):
        window.give_out(chunk(number))
    assert list(window.take(Result(number=1))) == []

    seen = []
    for ready, _ in window.take(Result(number=0)):
        seen.append(ready.number)
        window.wait_again()

    assert seen == [0]
    assert [ready.number for ready, _ in window.take(Result(number=0))] == [0, 1]
    assert list(window.under_way) == [2]


def test_without_an_order_the_others_go_past_a_chunk_that_waits_again() -> None:
    window = Window(limit=3, is_ordered=False)
    for number in range(2):
        window.give_out(chunk(number))
    for _ in window.take(Result(number=0)):
        window.wait_again()

    assert [ready.number for ready, _ in window.take(Result(number=1))] == [1]
    assert list(window.under_way) == [0]
