"""Chunks in actors of a real Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gristmill.batching.executors.remote_error import RemoteError, RemoteTraceback
from gristmill.errors import ConfigurationError, WorkerDied
from gristmill.streams.chunk import Chunk, Result, Task
from gristmill.streams.engines.mark_file import MarkFile
from gristmill.streams.engines.protocol import Broken, Died, Event, Finished, Mark, Marker
from gristmill.streams.engines.ray import RayEngine
from gristmill.streams.engines.ray_run import RayRun


class Odd(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("does not travel")


def double(chunk: Chunk, marker: Marker) -> bytes:
    marker.running(chunk.start, chunk.end)
    return str(chunk.number * 2).encode()


def echo(chunk: Chunk, _marker: Marker) -> bytes | memoryview:
    return memoryview(chunk.body or b"")


def fail(_chunk: Chunk, _marker: Marker) -> bytes:
    raise LookupError("no such column")


def fail_oddly(_chunk: Chunk, _marker: Marker) -> bytes:
    raise Odd("odd")


def leave(_chunk: Chunk, _marker: Marker) -> bytes:
    raise SystemExit(3)


def die(chunk: Chunk, marker: Marker) -> bytes:
    marker.running(chunk.start, chunk.start + 2)
    marker.idle()
    marker.running(chunk.start + 2, chunk.end)
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def die_between(chunk: Chunk, marker: Marker) -> bytes:
    marker.running(chunk.start, chunk.end)
    marker.idle()
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def stall(chunk: Chunk, marker: Marker) -> bytes:
    marker.running(chunk.start, chunk.end)
    threading.Event().wait()
    return b""


def freeze(chunk: Chunk, marker: Marker) -> bytes:
    marker.running(chunk.start, chunk.end)
    os.kill(os.getpid(), signal.SIGSTOP)
    return b""


@dataclass
class Meet:
    """Two tasks wait for each other, one at each end of a fifo."""

    fifo: str

    def __call__(self, chunk: Chunk, _marker: Marker) -> bytes:
        Path(self.fifo).open("w" if chunk.number else "r").close()
        return b"met"


@dataclass
class Work:
    """Does *otherwise* for the chunks it names, and *usually* for the others."""

    usually: Callable[[Chunk, Marker], Any] = double
    otherwise: Mapping[int, Callable[[Chunk, Marker], Any]] = field(default_factory=dict)
    notes: Path | None = None

    def start(self) -> Runner:
        return Runner(self)


class Runner:
    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, task: Task, marker: Marker) -> Result:
        if self._work.notes is not None:
            path = marker.path if isinstance(marker, MarkFile) else ""
            note(self._work.notes, f"{task.chunk.number} {os.getpid()} {path}")
        do = self._work.otherwise.get(task.chunk.number, self._work.usually)
        return Result(number=task.chunk.number, body=do(task.chunk, marker))

    def close(self) -> None:
        if self._work.notes is not None:
            note(self._work.notes, "closed")


class WorkThatFails(Work):
    def start(self) -> Runner:
        raise LookupError("no such handler")


class WorkThatDies(Work):
    def start(self) -> Runner:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class WorkThatStays(Work):
    def __reduce__(self) -> Any:
        raise TypeError("holds a lock")


def note(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(f"{text}\n")


def task(number: int, body: bytes | None = None) -> Task:
    return Task(chunk=Chunk(number=number, source=0, start=10, end=15, body=body))


def run(engine: RayEngine, tasks: Sequence[Task]) -> list[Event]:
    """Run *tasks* as a driver does: never more than there is room for."""
    waiting, events = [*tasks], list[Event]()
    while len(events) < len(tasks):
        while waiting and engine.room:
            engine.submit(waiting.pop(0))
        events += engine.wait(60)
    assert not engine.wait(0)  # exactly one event each
    return events


def bodies(events: Sequence[Event]) -> dict[int, bytes]:
    return {
        event.task.chunk.number: bytes(event.result.body) for event in events if isinstance(event, Finished)
    }


def only(kind: type[Any], events: Sequence[Event]) -> Any:
    """Return the one event that is of *kind*; the others are ``Finished``."""
    assert sum(not isinstance(event, Finished) for event in events) == 1, events
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def inside(engine: RayEngine) -> RayRun:
    assert engine._run is not None  # noqa: SLF001 - tests end actors that nobody else can
    return engine._run  # noqa: SLF001


def await_notes(engine: RayEngine, notes: Path, lines: int) -> list[int]:
    """Return which tasks have begun, once so many have."""
    while not notes.exists() or len(notes.read_text().splitlines()) < lines:
        assert not engine.wait(0.01)
    return [int(line.split()[0]) for line in notes.read_text().splitlines()]


@pytest.fixture
def engine(local_ray: Any) -> Iterator[RayEngine]:
    made = RayEngine(workers=2)
    yield made
    made.stop(kill=True)


def test_every_task_is_answered_once_with_its_own_result(engine: RayEngine) -> None:
    engine.start(Work(), timeout=None)
    events = run(engine, [task(number) for number in range(200)])
    assert bodies(events) == {number: str(number * 2).encode() for number in range(200)}
    assert all(
        event.result.number == event.task.chunk.number for event in events if isinstance(event, Finished)
    )


def test_two_tasks_run_at_once_in_two_workers(engine: RayEngine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    engine.start(Work(usually=Meet(str(tmp_path / "fifo")), notes=tmp_path / "notes"), timeout=None)
    assert bodies(run(engine, [task(0), task(1)])) == {0: b"met", 1: b"met"}
    assert len({line.split()[1] for line in (tmp_path / "notes").read_text().splitlines()}) == 2


def test_there_is_room_for_one_running_and_one_ahead_for_each_worker(engine: RayEngine) -> None:
    engine.start(Work(), timeout=None)
    assert (engine.workers, engine.room) == (2, 4)
    for number in range(4):
        engine.submit(task(number))
    assert engine.room == 0
    with pytest.raises(ConfigurationError, match="no room"):
        engine.submit(task(4))
    first = engine.wait()
    assert engine.room == len(first) > 0


def test_a_task_that_kills_its_worker_is_the_only_one_that_died(engine: RayEngine) -> None:
    engine.start(Work(otherwise={7: die}), timeout=None)
    events = run(engine, [task(number) for number in range(40)])
    died = only(Died, events)
    assert (died.task, died.is_timeout, died.mark) == (task(7), False, Mark(first=12, stop=15))
    assert "died (killed by a signal, out of memory, or a crash in native code)" in died.reason
    assert bodies(events) == {n: str(n * 2).encode() for n in range(40) if n != 7}


def test_a_worker_that_died_outside_of_the_handler_had_nothing_with_it(engine: RayEngine) -> None:
    engine.start(Work(otherwise={0: die_between}), timeout=None)
    assert only(Died, run(engine, [task(0), task(1)])).mark is None


def test_the_note_is_read_on_the_node_of_the_worker(
    engine: RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.start(Work(otherwise={3: die}), timeout=None)
    inside(engine).home = "another node"  # as if the driver ran there
    events = run(engine, [task(number) for number in range(10)])
    assert only(Died, events).mark == Mark(first=12, stop=15)
    assert len(bodies(events)) == 9


def test_a_killed_actor_costs_what_it_ran_and_not_what_it_had_ahead(
    engine: RayEngine, local_ray: Any, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    engine.start(Work(usually=stall, notes=notes), timeout=None)
    for number in range(4):
        engine.submit(task(number))
    running = await_notes(engine, notes, 2)
    for worker in inside(engine).workers:
        local_ray.kill(worker.actor)
    events: list[Event] = []
    while len(events) < 2:
        events += engine.wait(60)
    assert {event.task.chunk.number for event in events} == {*running}
    for event in events:
        assert isinstance(event, Died)
        assert event.reason.endswith("was killed by ray.kill")
    assert {*await_notes(engine, notes, 4)} == {0, 1, 2, 3}


@pytest.mark.parametrize("home", [True, False], ids=["here", "on another node"])
@pytest.mark.parametrize("do", [stall, freeze])
def test_a_handler_that_takes_too_long_is_ended_alone(
    engine: RayEngine, do: Callable[[Chunk, Marker], Any], *, home: bool
) -> None:
    engine.start(Work(otherwise={2: do}), timeout=1.0)
    if not home:
        inside(engine).home = "another node"
    events = run(engine, [task(number) for number in range(8)])
    died = only(Died, events)
    assert (died.task, died.is_timeout, died.mark) == (task(2), True, Mark(first=10, stop=15))
    assert "the handler took longer than 1 s" in died.reason
    assert len(bodies(events)) == 7


def test_what_a_task_raises_is_broken_and_the_worker_lives_on(local_ray: Any, tmp_path: Path) -> None:
    engine = RayEngine(workers=1)
    engine.start(Work(otherwise={1: fail, 2: fail_oddly, 3: leave}, notes=tmp_path / "notes"), timeout=None)
    events = run(engine, [task(number) for number in range(10)])
    errors = {event.task.chunk.number: event.error for event in events if isinstance(event, Broken)}
    assert [type(errors[number]) for number in (1, 2, 3)] == [LookupError, RemoteError, SystemExit]
    assert isinstance(errors[1].__cause__, RemoteTraceback)
    assert "in fail" in str(errors[1].__cause__)
    assert len({line.split()[1] for line in (tmp_path / "notes").read_text().splitlines()}) == 1
    assert len(bodies(events)) == 7
    engine.stop()


def test_work_that_does_not_start_breaks_every_task(engine: RayEngine) -> None:
    engine.start(WorkThatFails(), timeout=None)
    events = run(engine, [task(number) for number in range(5)])
    assert [str(event.error) for event in events if isinstance(event, Broken)] == ["no such handler"] * 5


def test_workers_that_die_while_they_start_are_given_up_in_the_end(engine: RayEngine) -> None:
    engine.start(WorkThatDies(), timeout=None)
    events = run(engine, [task(number) for number in range(3)])
    assert all(isinstance(event, Broken) and isinstance(event.error, WorkerDied) for event in events)
    assert isinstance(events[0], Broken)
    assert "Ray actors in a row ended while they started; the last one died" in str(events[0].error)


def test_work_that_cannot_be_sent_is_refused(engine: RayEngine) -> None:
    with pytest.raises(ConfigurationError, match=r"the work cannot be sent.*holds a lock"):
        engine.start(WorkThatStays(), timeout=None)


def test_large_bodies_go_there_and_back(engine: RayEngine) -> None:
    engine.start(Work(usually=echo), timeout=None)
    sent = [os.urandom(size) for size in (0, 1, 99_999, 100_001, 1_000_000, 4_000_000, 20_000_000)]
    events = run(engine, [task(number, body) for number, body in enumerate(sent)])
    assert bodies(events) == dict(enumerate(sent))
    assert all(event.task.chunk.body == sent[event.task.chunk.number] for event in events)


def test_a_large_body_goes_again_after_a_death(engine: RayEngine) -> None:
    engine.start(Work(usually=echo, otherwise={0: die, 1: die}), timeout=None)
    body = os.urandom(2_000_000)
    events = run(engine, [task(number, body) for number in range(6)])
    assert {event.task.chunk.number for event in events if isinstance(event, Died)} == {0, 1}
    assert bodies(events) == dict.fromkeys(range(2, 6), body)


def test_more_workers_than_the_cluster_has_room_for_are_those_that_found_it(local_ray: Any) -> None:
    engine = RayEngine(workers=5)
    engine.start(Work(), timeout=None)
    assert len(bodies(run(engine, [task(number) for number in range(40)]))) == 40
    engine.stop()


def test_one_worker_is_enough(local_ray: Any) -> None:
    engine = RayEngine(workers=1, num_cpus=2)
    engine.start(Work(otherwise={1: die}), timeout=None)
    assert len(bodies(run(engine, [task(number) for number in range(6)]))) == 5
    engine.stop()


def test_without_a_free_cpu_the_log_says_what_is_waited_for(
    engine: RayEngine, local_ray: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Sitter:
        def sit(self) -> None:
            pass

    sitter = local_ray.remote(Sitter).options(num_cpus=2).remote()
    local_ray.get(sitter.sit.remote())
    waiting = RayEngine(workers=2, patience=0.2)
    waiting.start(Work(), timeout=None)
    waiting.submit(task(0))
    with caplog.at_level(logging.WARNING, "gristmill.streams"):
        while not caplog.messages:
            assert not waiting.wait(0.1)
    assert caplog.messages[0].startswith("0 of 2 workers started: the cluster has no free CPU (0 of 2 free")
    local_ray.kill(sitter)
    assert bodies(waiting.wait(60)) == {0: b"0"}
    waiting.stop()


def test_a_cpu_that_the_cluster_does_not_have_is_named(
    local_ray: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = RayEngine(workers=1, num_gpus=1, patience=0.1)
    engine.start(Work(), timeout=None)
    engine.submit(task(0))
    with caplog.at_level(logging.WARNING, "gristmill.streams"):
        while not caplog.messages:
            engine.wait(0.1)
    assert caplog.messages[0].startswith("0 of 1 workers started: the cluster has 0 GPU in all")
    engine.stop(kill=True)


def test_stop_closes_the_runners_after_their_tasks_and_leaves_no_file(
    engine: RayEngine, tmp_path: Path
) -> None:
    engine.start(Work(notes=tmp_path / "notes"), timeout=None)
    run(engine, [task(0), task(1)])
    paths = mark_files(tmp_path / "notes")
    for number in range(2, 6):
        engine.submit(task(number))
    engine.stop()
    engine.stop()
    lines = (tmp_path / "notes").read_text().splitlines()
    assert {line.split()[0] for line in lines} >= {"0", "1", "2", "3", "closed"}
    assert not any(path.exists() for path in paths)


def test_kill_does_not_wait_and_leaves_no_file(engine: RayEngine, tmp_path: Path) -> None:
    engine.start(Work(otherwise={1: stall}, notes=tmp_path / "notes"), timeout=None)
    run(engine, [task(0)])
    paths = mark_files(tmp_path / "notes")
    engine.submit(task(1))
    engine.stop(kill=True)
    engine.stop(kill=True)
    assert not any(path.exists() for path in paths)
    with pytest.raises(ConfigurationError, match="not started"):
        engine.submit(task(2))


def test_an_engine_is_used_again(engine: RayEngine) -> None:
    for _ in range(2):
        engine.start(Work(), timeout=None)
        assert len(bodies(run(engine, [task(number) for number in range(5)]))) == 5
        with pytest.raises(ConfigurationError, match="runs already"):
            engine.start(Work(), timeout=None)
        engine.stop()


def test_a_stop_before_the_start_is_none(local_ray: Any) -> None:
    RayEngine().stop()
    RayEngine().stop(kill=True)


def mark_files(notes: Path) -> set[Path]:
    paths = {Path(line.split()[2]) for line in notes.read_text().splitlines()}
    assert paths
    assert all(path.exists() for path in paths)
    return paths
