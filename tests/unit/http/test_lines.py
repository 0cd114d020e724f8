from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.lines import LineSplitter


def split(chunks: list[bytes], limit: int) -> list[bytes | None]:
    splitter = LineSplitter(limit)
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    return found + list(splitter.finish())


@given(st.lists(st.binary(max_size=6).map(lambda b: b.replace(b"x", b"\n")), max_size=12), st.integers(1, 4))
def test_lines_are_the_same_however_the_chunks_fall(chunks: list[bytes], limit: int) -> None:
    whole = b"".join(chunks)
    assert split(chunks, limit) == split([whole], limit)
    expected = [
        line if len(line) <= limit + 1 else None
        for line in whole.split(b"\n")
        if line.strip(b" \t\r") or len(line) > limit + 1
    ]
    assert split(chunks, limit) == expected


def test_blank_lines_are_no_lines() -> None:
    assert split([b"a\n\n \r\nb\r\n"], 10) == [b"a", b"b\r"]


def test_a_line_too_long_is_told_and_the_next_is_read() -> None:
    assert split([b"ab\n", b"c" * 5, b"c" * 5, b"\nd"], 3) == [b"ab", None, b"d"]


def test_memory_is_bounded_by_a_line_and_a_chunk() -> None:
    splitter = LineSplitter(100)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 1000)) == []
    assert list(splitter.feed(b"\n")) == [None]


def test_lines_are_numbered_blank_ones_too() -> None:
    splitter = LineSplitter(10)
    numbers = [splitter.number for _ in splitter.feed(b"a\n\nb\n" + b"x" * 20 + b"\nc")]
    assert numbers == [1, 3, 4]
    assert [splitter.number for _ in splitter.finish()] == [5]
