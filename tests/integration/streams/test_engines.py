"""What every engine does: the local pool, the one inline, and actors of a real Ray."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.streams.engine_work import Work, task

from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Chunk, Counts, Task
from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.local import LocalPool
from gristmill.streams.engines.protocol import Broken, Died, Engine, Event, Finished, Mark
from gristmill.streams.engines.ray import RayEngine

ENGINES = {
    "inline": Inline,
    "local": lambda: LocalPool(2),
    "local by spawn": lambda: LocalPool(1, start_method="spawn"),
    "ray": lambda: RayEngine(workers=2),
}
MORTAL = ["local", "local by spawn", "ray"]
"""The engines whose workers are processes of their own."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "ray":
        request.getfixturevalue("local_ray")
    made = ENGINES[request.param]()
    yield made
    made.stop(kill=True)


mortal = pytest.mark.parametrize("engine", MORTAL, indirect=True)


def run(engine: Engine, tasks: list[Task]) -> dict[int, Event]:
    """Run *tasks*, as many at once as the engine takes; return the event of each."""
    events: dict[int, Event] = {}
    waiting = tasks[::-1]
    while len(events) < len(tasks):
        while waiting and engine.room:
            engine.submit(waiting.pop())
        for event in engine.wait():
            assert event.task.chunk.number not in events
            events[event.task.chunk.number] = event
    assert engine.wait() in ([], ())
    return events


def body_of(event: Event) -> bytes:
    assert isinstance(event, Finished), event
    return bytes(event.result.body)


def test_every_task_is_answered_once(engine: Engine):
    engine.start(Work(), timeout=None)
    tasks = [task(number, b"echo %d" % number) for number in range(60)]
    events = run(engine, tasks)
    assert [body_of(events[number]) for number in range(60)] == [b"echo %d" % number for number in range(60)]
    assert all(events[number].task is tasks[number] for number in range(60))


def test_a_task_and_its_result_travel_whole(engine: Engine):
    engine.start(Work(), timeout=None)
    sent = task(0, b"echo", only=(2, 5))
    event = run(engine, [sent])[0]
    assert isinstance(event, Finished)
    assert event.result.dead.decode() == repr((sent.only, sent.convicted, 10, 20))
    assert event.result.counts == Counts(read=3, failed=1, succeeded=2)
    assert (event.result.layout, event.result.codes, event.result.number) == (b"L", {"c": 1}, 0)


@pytest.mark.parametrize("size", [None, 0, 5, 20_000, 30_000_000])
def test_the_content_of_a_chunk_is_what_was_given(engine: Engine, size: int | None):
    body = None if size is None else b"echo ".ljust(size, b"x")[:size]
    engine.start(Work(), timeout=None)
    event = run(engine, [Task(chunk=Chunk(number=0, source=0, start=0, end=1, body=body))])[0]
    assert body_of(event) == (body or b"")


def test_there_is_room_for_one_task_that_runs_and_one_ahead_per_worker(engine: Engine):
    engine.start(Work(), timeout=None)
    assert engine.room == 2 * engine.workers
    for number in range(2 * engine.workers):
        engine.submit(task(number, b"echo"))
        assert engine.room == 2 * engine.workers - number - 1
    answered = len(engine.wait())
    assert answered
    assert engine.room == answered


def test_nothing_to_wait_for_is_not_waited_for(engine: Engine):
    engine.start(Work(), timeout=None)
    assert not engine.wait()


def test_a_task_that_raises_is_broken_and_the_next_one_runs(engine: Engine):
    engine.start(Work(), timeout=None)
    verbs = [b"fail no good", b"memory", b"leave 3"]
    events = run(engine, [task(number, verb) for number, verb in enumerate([*verbs, b"echo"])])
    errors = [event.error for event in events.values() if isinstance(event, Broken)]
    assert {type(error) for error in errors} == {ValueError, MemoryError, SystemExit}
    assert "no good" in map(str, errors)
    assert body_of(events[3]) == b"echo"


def test_an_exception_that_cannot_travel_is_told_by_its_text(engine: Engine):
    engine.start(Work(), timeout=None)
    event = run(engine, [task(0, b"unsendable why it failed")])[0]
    assert isinstance(event, Broken)
    assert "why it failed" in str(event.error)


def test_what_the_start_raised_is_the_answer_to_each_task(engine: Engine):
    engine.start(Work("fail no model here"), timeout=None)
    events = run(engine, [task(number, b"echo") for number in range(5)])
    assert {str(event.error) for event in events.values() if isinstance(event, Broken)} == {"no model here"}
    assert len(events) == 5


def test_a_stopped_engine_has_closed_its_runners_and_takes_no_task(engine: Engine, tmp_path: Path):
    engine.start(Work(closed=str(tmp_path / "closed")), timeout=None)
    events = run(engine, [task(number, b"pid") for number in range(2 * engine.workers)])
    engine.stop()
    engine.stop(kill=True)
    closed = (tmp_path / "closed").read_text().splitlines()
    assert len({body_of(event) for event in events.values()}) <= len(closed) <= engine.workers
    with pytest.raises(ConfigurationError, match=r"start\(\)|not started"):
        engine.submit(task(0, b"echo"))


def test_a_stopped_engine_can_be_started_again(engine: Engine):
    for _ in range(2):
        engine.start(Work(), timeout=None)
        assert body_of(run(engine, [task(0, b"echo")])[0]) == b"echo"
        engine.submit(task(1, b"echo"))
        engine.stop()


@mortal
def test_a_result_that_cannot_travel_is_broken_and_the_next_one_runs(engine: Engine):
    engine.start(Work(), timeout=None)
    events = run(engine, [task(0, b"opaque"), task(1, b"nothing"), task(2, b"echo")])
    for number in (0, 1):
        event = events[number]
        assert isinstance(event, Broken)
        assert "the result of a chunk cannot be sent" in str(event.error)
    assert body_of(events[2]) == b"echo"


@mortal
def test_a_worker_that_dies_takes_its_task_and_no_other(engine: Engine):
    engine.start(Work(), timeout=None)
    tasks = [task(number, b"exit 3" if number % 5 == 2 else b"echo") for number in range(20)]
    events = run(engine, tasks)
    for number, event in events.items():
        if number % 5 == 2:
            assert isinstance(event, Died)
            assert not event.is_timeout
            assert event.mark == Mark(first=4, stop=7)
            assert re.search("exited with code 3|died", event.reason)  # Ray knows no code
        else:
            assert body_of(event) == b"echo"


@mortal
def test_a_handler_call_that_takes_too_long_ends_its_worker(engine: Engine):
    engine.start(Work(), timeout=0.5)
    events = run(engine, [task(0, b"spin"), task(1, b"echo"), task(2, b"echo")])
    event = events[0]
    assert isinstance(event, Died)
    assert event.is_timeout
    assert event.mark == Mark(first=4, stop=7)
    assert "0.5 s" in event.reason
    assert body_of(events[1]) == body_of(events[2]) == b"echo"


@mortal
def test_a_kill_does_not_wait_for_what_runs(engine: Engine):
    engine.start(Work(), timeout=None)
    for number in range(2 * engine.workers):
        engine.submit(task(number, b"spin"))
    assert not engine.wait(0.01)
    engine.stop(kill=True)
    assert engine.room == 2 * engine.workers


@mortal
def test_work_that_cannot_travel_is_refused_at_the_start(engine: Engine):
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        engine.start(Work(threading.Lock()), timeout=None)  # type: ignore[arg-type]
