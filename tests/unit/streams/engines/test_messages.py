from __future__ import annotations

import threading
from dataclasses import fields
from typing import Any

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Chunk, Counts, Crash, Result, Task
from gristmill.streams.engines import messages
from gristmill.streams.engines.frames import Frame
from gristmill.streams.engines.messages import Answer, Ready


def test_every_field_of_a_task_arrives():
    task = Task(
        chunk=Chunk(number=1, source=2, start=3, end=4, body=b"rows"),
        only=(5, 6),
        convicted={7: Crash(code="crashed", message="m", deaths=8)},
        layout=b"columns",
    )
    assert messages.load_task(Frame(*messages.dump_task(task))) == task


@pytest.mark.parametrize("body", [None, b"", b"x"])
def test_no_content_is_not_empty_content(body: bytes | None):
    task = Task(chunk=Chunk(number=1, source=2, start=3, end=4, body=body))
    assert messages.load_task(Frame(*messages.dump_task(task))).chunk.body == body


def test_every_field_of_a_result_arrives_and_its_body_is_not_copied():
    body = bytearray(b"encoded")
    result = Result(
        number=1,
        body=body,
        dead=b"lines",
        counts=Counts(read=2, succeeded=3, failed=4, filtered=5, blank=6),
        layout=b"columns",
        batches=7,
        seconds=8.5,
        batch_size=9,
        batch_cap=12,
        codes={"code": 10},
    )
    unset = {field.name for field in fields(result) if getattr(result, field.name) in (0, b"", None, {})}
    assert not unset  # a field of tomorrow is to be filled in above
    frame = Frame(*messages.dump_result(result, 11))
    assert frame.body is body
    assert messages.load_message(frame) == Answer(result=result, rss=11)


class Shelf:
    """One slot."""

    def __init__(self) -> None:
        self.body: bytes | None = None

    def put(self, body: bytes) -> tuple[int, int]:
        self.body = body
        return 0, len(body)

    def put_back(self, place: tuple[int, int]) -> None:
        assert place == (0, len(self.body or b""))
        self.body = None

    def take(self, place: tuple[int, int]) -> bytes:
        assert self.body is not None
        assert place == (0, len(self.body))
        return self.body


def test_a_body_that_found_a_slot_does_not_go_with_the_message():
    shelf: Any = Shelf()
    header, body = messages.dump_result(Result(number=0, body=b"encoded"), 1, shelf)
    assert not body
    answer = messages.load_message(Frame(header, b""), shelf)
    assert isinstance(answer, Answer)
    assert answer.result == Result(number=0, body=b"encoded")


def test_a_result_that_cannot_travel_leaves_its_slot():
    shelf: Any = Shelf()
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        messages.dump_result(Result(number=0, body=b"x", codes={"lock": threading.Lock()}), 0, shelf)  # type: ignore[dict-item]
    assert shelf.body is None


def test_a_start_and_a_failure_arrive():
    assert messages.load_message(Frame(messages.dump_ready(5), b"")) == Ready(rss=5)
    answer = messages.load_message(Frame(messages.dump_failure(ValueError("why"), 6), b""))
    assert isinstance(answer, Answer)
    assert answer.failure is not None
    assert (answer.failure.text, answer.result, answer.rss) == ("why", None, 6)


def test_a_result_that_cannot_travel_is_refused():
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        messages.dump_result(Result(number=0, codes={"lock": threading.Lock()}), 0)  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        messages.dump_result(None, 0)  # type: ignore[arg-type]
