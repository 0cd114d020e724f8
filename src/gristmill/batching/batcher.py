"""The batches of one handler on one event loop: who waits, what runs, and every answer.

Everything here runs on the loop's own thread. What to dispatch is decided by
the ``Coalescer``; a batch's outcome by the ``Runner``; this module moves items
between the two and sees to it that each waiter is answered exactly once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import random
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from gristmill.batching.admission import Admission
from gristmill.batching.answers import answer, split_retries
from gristmill.batching.batch import Batch, Mark, Owner, Part, Waiter
from gristmill.batching.coalescer import Coalescer
from gristmill.batching.deadlines import next_start, overdue
from gristmill.batching.frame import Frame, current_frame
from gristmill.batching.recipe import Recipe
from gristmill.batching.reply import Settled, all_failed, whole_batch
from gristmill.batching.runner import Runner
from gristmill.batching.tasks import begun, is_for_the_loop, leave_to_the_loop
from gristmill.batching.timer import Timer
from gristmill.errors import BatchCancelled, BatchError, DeadlineExceeded
from gristmill.model.flush import FlushReason

_UNLIMITED = 1 << 30


def loop_clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the clock of *loop*; uvloop's own moves in steps of a millisecond, so not that one."""
    return time.monotonic if type(loop).__module__.partition(".")[0] == "uvloop" else loop.time


class Batcher:
    """Coalesces the calls that one event loop makes to one handler.

    Attributes:
        loop: The event loop; every method is called on its thread.
        recipe: The handler.
        room: Permits for what is pending.
        settling: The batch whose waiters are being answered, while they are.
    """

    def __init__(self, recipe: Recipe, loop: asyncio.AbstractEventLoop, frame: Frame | None = None) -> None:
        self.loop = loop
        self.recipe = recipe
        self.clock = loop_clock(loop)
        limits = recipe.limits
        self.coalescer = Coalescer(limits)
        self.admission = Admission(recipe, self.coalescer)
        self.room = self.admission.room
        self.running: dict[Batch, asyncio.Task[None]] = {}
        self.delayed: dict[Batch, asyncio.TimerHandle] = {}
        self.settling: Batch | None = None
        self.is_draining = False
        self._main = self.coalescer.main
        self._ready: deque[Batch] = deque()
        self._slots = recipe.slots if frame is None else _UNLIMITED
        self._depth = 1 if frame is None else frame.deeper(recipe.name)
        self._is_nested = frame is not None
        self._callers = set() if frame is None else {frame}
        self._is_awake = False
        self._has_look = False
        self._linger = Timer(loop, self._turn)
        self._timeout = math.inf if limits.timeout is None else limits.timeout
        self._has_foresight = recipe.learns_costs and self._timeout < math.inf
        self._deadline = Timer(loop, self._expire)
        # How early a timer may go off: uvloop's are whole milliseconds, asyncio's a step of the clock.
        is_exact = self.clock is not time.monotonic
        self._tick = time.get_clock_info("monotonic").resolution if is_exact else 0.0005
        self._idle: asyncio.Future[None] | None = None
        self._task_name = f"gristmill {recipe.name}"
        self._runner = Runner(
            recipe.call,
            recipe.ledger,
            recipe.observe,
            self.clock,
            bisect=limits.on_error == "bisect",
            timeout=limits.timeout,
            prefix=recipe.prefix,
        )

    def __repr__(self) -> str:
        """Show what tests want to see."""
        state = "draining" if self.is_draining else "open"
        held = f"{len(self.coalescer)} pending, {len(self.running)} running"
        return f"<Batcher {self.recipe.name} {state}, {held}>"

    @property
    def is_idle(self) -> bool:
        """Whether nothing is pending and nothing runs."""
        return not (self.running or self.delayed or self._ready or not self.coalescer.is_empty)

    # -- coming in

    def admit(self, item: Any, waiter: Waiter) -> None:
        """Let a single call wait; for handlers without key and marks.

        Raises:
            QueueFull: There is no room.
            BatcherClosed: It is draining, or closed.
        """
        room = self.room
        if room.free <= 0 or not room.is_open:
            self.admission.make_room(1, 0.0)
        room.free -= 1
        main = self._main
        main.items.append(item)
        main.waiters.append(waiter)
        main.times.append(self.clock())
        if not self._is_awake:
            self.wake()

    def admit_marked(self, item: Any, waiter: Waiter, key: Hashable, mark: Mark) -> None:
        """Let a single call wait under its key, with its mark.

        Raises:
            ItemTooHeavy: It is heavier than a whole batch may be.
            QueueFull, BatcherClosed: As ``admit``.
        """
        self.admission.check_weights((mark,))
        self.admission.take(1, mark.weight)
        self.coalescer.partition(key).push(item, waiter, self.clock(), mark)
        self.wake()

    def note_caller(self, frame: Frame) -> None:
        """Note that a running batch calls, and waits for, this handler."""
        self._callers -= {each for each in self._callers if each.is_over}
        self._callers.add(frame)

    def add_parts(self, parts: Sequence[tuple[Hashable, Part]]) -> None:
        """Let lists wait; their owner has taken room for them."""
        self.coalescer.add_parts(parts)
        self.wake()

    def drop_parts(self, owner: Owner) -> None:
        """Drop what of a list has not been sent."""
        self.coalescer.drop_parts(owner)
        self._rest()

    # -- going out

    def wake(self) -> None:
        """Have the next turn of the loop look for batches."""
        if not self._is_awake:
            self._is_awake = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_awake = False
        now = self.clock()
        recipe = self.recipe
        coalescer = self.coalescer
        while len(self.running) < self._slots and not (coalescer.is_empty and not self._ready):
            batch = self._next_retry()
            if batch is None:
                batch = coalescer.take(now + self._tick, recipe.cap, recipe.fixed_cost)
            if batch is None:
                break
            if self._has_foresight:
                batch = self._without_hopeless(batch, now)
            if batch is not None:
                self._start(batch, now)
        if coalescer.dropped.waiters:
            self.admission.account_dropped()
        self._arm(now)
        if not self.running:
            self._rest()

    def _next_retry(self) -> Batch | None:
        """Return the next retry that has come due, without the items that nobody waits for any more."""
        while self._ready:
            if batch := self._live(self._ready.popleft()):
                return batch
        return None

    def _without_hopeless(self, batch: Batch, now: float) -> Batch | None:
        """Fail at once the calls of *batch* whose time will be up before it ends, and return the rest.

        The room they would take in the batch goes to those who can still be answered. Where a batch is
        expected to take longer than a whole timeout, nobody is turned away: the expectation may be wrong,
        and without a batch it would never be corrected.
        """
        seconds = self.recipe.expected_seconds(len(batch))
        latest = now + seconds - self._timeout
        if not (batch.times and batch.times[0] < latest < now):
            return batch
        hopeless = bisect_left(batch.times, latest)
        for waiter in batch.waiters[:hopeless]:
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # given up by a thread meanwhile
                waiter.set_exception(self._too_late())
        self.recipe.ledger.items["expired"] += hopeless
        return self._live(batch)

    def _live(self, batch: Batch) -> Batch | None:
        """Return what somebody still waits for of *batch*, and account for the rest; None if nobody does."""
        live, dead = batch.split_live()
        if dead:
            gone = batch.subset(dead, batch.reason)
            self._answer(gone, all_failed(BatchCancelled("nobody waits for this any more"), len(gone)))
            batch = batch.subset(live, batch.reason)
        return batch if live else None

    def _start(self, batch: Batch, now: float) -> None:
        batch.started = now
        batch.number = self.recipe.next_number()
        if self._is_nested:
            batch.reason = FlushReason.NESTED
        self.recipe.ledger.began(batch, now)
        steps = self._run(batch)
        steps.send(None)
        try:
            task = self.loop.create_task(steps, name=self._task_name, context=self.recipe.neutral_context())
        except Exception as error:  # noqa: BLE001 - a task factory of the user's: every waiter gets it
            steps.close()
            self._answer(batch, all_failed(whole_batch(self.recipe.name, error), len(batch)))
            return
        self.running[batch] = task

    async def _run(self, batch: Batch) -> None:
        frame = Frame(self.recipe, self._callers, self._depth, batch)
        try:
            # Up to here it runs before its task exists: a task that is cancelled before its
            # first step would never come to the lines that answer the waiters.
            await begun()
            if batch not in self.running:  # an eager task, which begins before it can be noted
                await begun()
            current_frame.set(frame)
            settled = await self._runner.run(batch)
        except BaseException as error:
            frame.end()
            if self.loop.is_closed():
                raise  # its futures cannot be answered any more, and nobody can wait for them
            if batch in self.running:
                self._finish(batch, all_failed(whole_batch(self.recipe.name, error), len(batch)))
            if is_for_the_loop(error):
                leave_to_the_loop()
                raise
            return
        frame.end()
        if batch in self.running:
            self._finish(batch, settled)
        if settled.fatal is not None:
            leave_to_the_loop()
            raise settled.fatal

    def _finish(self, batch: Batch, settled: Settled) -> None:
        del self.running[batch]
        retry = self.recipe.limits.retry
        if settled.errors and retry is not None and not self.is_draining:
            later, batch, settled = split_retries(retry, batch, settled)
            if later is not None:
                delay = retry.delay(later.attempt - 1, random.random())  # noqa: S311 - jitter, not a secret
                self.delayed[later] = self.loop.call_later(delay, self._release, later)
        self._answer(batch, settled)
        if not self._rest():
            self.wake()

    def _release(self, batch: Batch) -> None:
        self.delayed.pop(batch).cancel()
        self._ready.append(batch)
        self.wake()

    def _answer(self, batch: Batch, settled: Settled) -> None:
        """Answer everybody, and return the room of the single calls."""
        self.settling = batch
        batch.seconds = self.clock() - batch.started
        answer(batch, settled, self.recipe.ledger.items)
        self.settling = None
        if batch.waiters:
            self.room.give(len(batch.waiters), batch.singles_weight if batch.weights else 0.0)

    # -- time

    def _arm(self, now: float) -> None:
        """Set the timers that what is left needs: none when nothing is."""
        if not self.coalescer.is_eager:
            has_slot = len(self.running) < self._slots
            recipe = self.recipe
            self._linger.set(
                self.coalescer.due_at(recipe.cap, recipe.fixed_cost) if has_slot else math.inf, now
            )
        if self._deadline.at == math.inf and self._timeout < math.inf and not self._has_look:
            self._has_look = True
            self.loop.call_soon(self._look)

    def _look(self) -> None:
        """Set the deadline timer, unless all is answered already: a timer costs more than a quick handler."""
        self._has_look = False
        if self._deadline.at == math.inf and not self.is_idle:
            self._watch(-math.inf, self.clock())

    def _watch(self, before: float, now: float) -> None:
        """Set the one deadline timer to the earliest that can expire of what came after *before*."""
        first = next_start(self.coalescer, self.running, (*self.delayed, *self._ready), before)
        self._deadline.set(first + self._timeout, now)

    def _expire(self) -> None:
        now = self.clock()
        before = now - self._timeout + self._tick
        expiry = overdue(self.coalescer, self.running, (*self.delayed, *self._ready), before)
        for waiter in expiry.waiters:
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # given up by a thread meanwhile
                waiter.set_exception(self._too_late())
        self.recipe.ledger.items["expired"] += len(expiry.waiters)
        for batch in expiry.overrun:
            self._abandon(batch, self._too_late())
        self.coalescer.purge()
        self.admission.account_dropped()
        self._watch(before, now)
        self._rest()

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self.recipe.name} gave no answer within its timeout of {self._timeout:g} s"
        )

    def _abandon(self, batch: Batch, error: BatchError) -> None:
        """Answer a running batch now and stop its handler; the slot is free at once."""
        task = self.running.pop(batch)
        batch.is_abandoned = True
        seconds = self.clock() - batch.started
        self.recipe.ledger.ended(len(batch), seconds, error.code)
        self.recipe.observe(len(batch), seconds, batch.is_full, error.code)
        self._answer(batch, all_failed(error, len(batch)))
        task.cancel()
        self.wake()

    def _rest(self) -> bool:
        """Leave no timer behind when nothing waits and nothing runs, and tell those who wait for that."""
        if not self.is_idle:
            return False
        self._deadline.cancel()
        self._linger.cancel()
        idle, self._idle = self._idle, None
        if idle is not None and not idle.done():
            idle.set_result(None)
        return True

    # -- the end

    def drain(self) -> None:
        """Take no more items, and dispatch what waits without any linger."""
        if self.is_draining:
            return
        self.is_draining = True
        self.admission.shut()
        self.coalescer.is_flushing = True
        for batch in list(self.delayed):
            self._release(batch)
        self.wake()

    async def idle(self, timeout: float | None) -> bool:
        """Wait until nothing is pending and nothing runs; tell whether that came within *timeout* seconds."""
        if self.is_idle:
            return True
        if self._idle is None:
            self._idle = self.loop.create_future()
        done, _ = await asyncio.wait([self._idle], timeout=timeout)
        return bool(done)

    def abort(self) -> None:
        """Answer everything that is left with ``BatcherClosed``, and stop what runs."""
        self.drain()
        for batch in (*self.coalescer.take_all(), *self._ready, *self.delayed):
            self._answer(batch, all_failed(self.admission.closed(), len(batch)))
        for timer in self.delayed.values():
            timer.cancel()
        self._ready.clear()
        self.delayed.clear()
        for batch in list(self.running):
            self._abandon(batch, self.admission.closed())
        self.admission.account_dropped()
        self._rest()
