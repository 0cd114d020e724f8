from __future__ import annotations

from gristmill.streams.chunk import Chunk, Result
from gristmill.streams.window import Window


def chunk(number: int) -> Chunk:
    return Chunk(number=number, source=0, start=number, end=number + 1)


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
