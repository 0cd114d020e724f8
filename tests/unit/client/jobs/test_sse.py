"""Server-sent events out of bytes."""

from __future__ import annotations

import pytest

from gristmill.client.jobs.sse import Event, EventReader, EventTooLarge

STREAM = (
    b"retry: 500\n\n: heartbeat\n\nevent: progress\nid: v1\ndata: {}\n\n"
    b"id: v2\r\nevent: done\r\ndata: a\r\ndata:b\r\n\r\nevent: empty\n\ndata: last\n\n"
)
EVENTS = [Event("progress", "{}", "v1"), Event("done", "a\nb", "v2"), Event("message", "last", "v2")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_come_whole_however_the_bytes_are_cut(size: int) -> None:
    reader = EventReader()
    found: list[Event] = []
    for start in range(0, len(STREAM), size):
        found += reader.feed(STREAM[start : start + size])
    assert found == EVENTS
    assert (reader.last_id, reader.retry) == ("v2", 0.5)


def test_an_event_that_is_cut_off_is_none() -> None:
    assert list(EventReader().feed(b"event: done\ndata: {}\n")) == []


@pytest.mark.parametrize("given", ["a\rb: c", "a\0", "\u20ac"])
def test_an_id_that_no_header_can_hold_is_left_out(given: str) -> None:
    reader = EventReader()
    text = f"id: v1\ndata: 1\n\nid: {given}\ndata: 2\n\n".encode()
    assert [event.id for event in reader.feed(text)] == ["v1", "v1"]


def test_a_wait_of_any_digits_is_a_number() -> None:
    reader = EventReader()
    assert not list(reader.feed(b"retry: " + b"9" * 6_000 + b"\n"))
    assert reader.retry > 1_000


def test_a_line_without_end_is_not_held() -> None:
    reader = EventReader()
    for _ in range(10):
        assert not list(reader.feed(b"x" * 100_000))
    with pytest.raises(EventTooLarge):
        list(reader.feed(b"x" * 100_000))
