from __future__ import annotations

import asyncio

import pytest

from gristmill.http.watch import Message, Verdict, Visit, Watch

pytestmark = pytest.mark.looptime


class Line:
    """A caller's connection: says nothing until it is told to."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self.listeners = 0

    async def receive(self) -> Message:
        self.listeners += 1
        try:
            return await self._said.get()
        finally:
            self.listeners -= 1

    def say(self, kind: str) -> None:
        self._said.put_nowait({"type": kind})


async def request(watch: Watch, line: Line, *, seconds: float, reads: bool = False) -> Verdict | None:
    """Take *seconds*, and return why the watch ended it."""
    visit = watch.enter(line.receive)
    if not reads:
        watch.wait(visit)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        verdict = visit.settle()
        if verdict is None:
            raise
        return verdict
    finally:
        watch.leave(visit)
    return None


async def test_a_caller_that_hangs_up_while_it_waits_is_gone() -> None:
    watch, line = Watch(30.0), Line()
    asyncio.get_running_loop().call_later(2.0, line.say, "http.disconnect")
    assert await request(watch, line, seconds=10.0) is Verdict.GONE
    assert asyncio.get_running_loop().time() == pytest.approx(2.0)


async def test_a_server_that_says_anything_else_is_not_asked_again() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request"}  # at once, each time: asking on would never end

    watch = Watch(30.0)
    visit = watch.enter(receive)
    watch.wait(visit)
    await asyncio.sleep(5.0)
    watch.leave(visit)
    assert (asked, visit.verdict) == (1, None)


async def test_a_quick_request_is_never_listened_to() -> None:
    watch, line = Watch(30.0), Line()
    assert await request(watch, line, seconds=0.05) is None
    assert line.listeners == 0


async def test_listening_ends_with_the_request() -> None:
    watch, line = Watch(30.0), Line()
    waiting = asyncio.ensure_future(request(watch, line, seconds=5.0))
    await asyncio.sleep(1.0)
    assert line.listeners == 1
    assert await waiting is None
    await asyncio.sleep(0)
    assert line.listeners == 0


async def test_a_body_is_late_at_its_deadline_and_nobody_listens_meanwhile() -> None:
    watch, line = Watch(3.0), Line()
    reading = asyncio.ensure_future(request(watch, line, seconds=10.0, reads=True))
    await asyncio.sleep(1.0)
    assert line.listeners == 0
    assert await reading is Verdict.LATE
    assert 3.0 <= asyncio.get_running_loop().time() <= 3.2


async def test_each_of_many_gets_its_own_verdict() -> None:
    watch, lines = Watch(3.0), [Line() for _ in range(4)]
    asyncio.get_running_loop().call_later(1.0, lines[1].say, "http.disconnect")
    verdicts = await asyncio.gather(
        request(watch, lines[0], seconds=5.0, reads=True),
        request(watch, lines[1], seconds=5.0),
        request(watch, lines[2], seconds=5.0),
        request(watch, lines[3], seconds=0.01),
    )
    assert verdicts == [Verdict.LATE, Verdict.GONE, None, None]


async def test_a_cancellation_from_outside_is_not_taken_for_ours() -> None:
    watch, line = Watch(30.0), Line()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await request(watch, line, seconds=10.0)


async def test_a_cancellation_from_outside_at_the_same_moment_goes_on() -> None:
    watch, line = Watch(30.0), Line()
    seen: list[Visit] = []

    async def both() -> None:
        visit = watch.enter(line.receive)
        seen.append(visit)
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError:
            assert visit.settle() is None
            raise

    task = asyncio.ensure_future(both())
    await asyncio.sleep(0)
    seen[0].end(Verdict.GONE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_runs_when_nobody_is_signed_in() -> None:
    watch, line = Watch(30.0), Line()
    await request(watch, line, seconds=1.0)
    await asyncio.sleep(0.2)
    began = asyncio.all_tasks()
    await asyncio.sleep(10.0)
    assert asyncio.all_tasks() == began
    assert await request(watch, line, seconds=0.05) is None
