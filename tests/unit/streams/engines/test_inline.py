from __future__ import annotations

import pytest

from gristmill.streams.chunk import Chunk, Result, Task
from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.protocol import Finished, Marker

TASK = Task(chunk=Chunk(number=0, source=0, start=0, end=1))


class InterruptedOnce:
    """Work and its runner: the first run meets Ctrl-C."""

    runs = 0

    def start(self) -> InterruptedOnce:
        return self

    def run(self, task: Task, marker: Marker) -> Result:
        marker.running(0, 1)
        marker.idle()
        self.runs += 1
        if self.runs == 1:
            raise KeyboardInterrupt
        return Result(number=task.chunk.number)

    def close(self) -> None:
        pass


def test_a_task_that_ctrl_c_hit_is_not_lost():
    engine = Inline()
    engine.start(InterruptedOnce(), timeout=None)
    engine.submit(TASK)
    with pytest.raises(KeyboardInterrupt):
        engine.wait()
    assert engine.room == 1
    assert engine.wait() == (Finished(task=TASK, result=Result(number=0)),)
