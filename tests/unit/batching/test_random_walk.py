"""Thousands of random calls, cancels, failures and closes in virtual time; every item gets its own answer.

``GRISTMILL_WALKS=2000`` walks that many seeds instead of the few of every run.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import random
from collections import Counter, defaultdict
from typing import NamedTuple

import pytest

from gristmill import Adaptive, Failed, Linger, Ok, Retry, batch
from gristmill.errors import BatcherClosed, BatchError, QueueFull

WALKS = int(os.environ.get("GRISTMILL_WALKS", "120"))
STEPS = 150
TIMEOUT = 0.5  # virtual seconds
CLOSINGS = ("wait", "drain", "drain in time", "abort")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to its next timer instead of sleeping, and says so when there is none to wait for."""

    now = 5.0
    turns = 0

    def __init__(self):
        super().__init__()
        self.complaints = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))
        self._poll, self._selector.select = self._selector.select, self._jump

    def time(self):
        return self.now

    def _jump(self, timeout):
        self.turns += 1
        ready = self._poll(0)
        if not ready and timeout is None:
            raise AssertionError(f"everybody waits, for ever: {asyncio.all_tasks(self)}")
        self.now += timeout or 0.0
        return ready

    def timers(self):
        return [handle for handle in self._scheduled if not handle.cancelled()]


class Item(NamedTuple):
    id: int
    ident: int

    @property
    def key(self):
        return self.ident % 3

    @property
    def weight(self):
        return self.ident % 5


def answer_to(item):
    return f"answer to {item.ident}"


class Walk:
    """One handler with random options, and everybody who calls it."""

    def __init__(self, seed, loop):
        self.random = random.Random(seed)
        self.loop = loop
        self.ids = itertools.count()
        self.seen = Counter()  # item id -> handler calls that saw it
        self.singles = set()
        self.orders = defaultdict(list)  # key -> ids of single calls, as they were handled
        self.active = 0
        self.waiting = set()  # futures and tasks that may be cancelled
        self.done = {}  # id of a single call -> the turn of the loop in which it was known to be done
        self.late = []
        self.broken = []  # what the handler saw and should not have
        self.tasks = []
        self.surely = self.maybe = 0  # items admitted
        choice = self.random.choice
        self.options = {
            "max_size": choice([1, 2, 3, 8, Adaptive(max_size=8, start=4), Adaptive(max_size=6, start=1)]),
            "max_wait": choice([0.0, 0.0, 0.01, 0.3, Linger(), Linger(cost=3)]),
            "key": choice([None, None, lambda item: item.key]),
            "dedupe": choice([False, False, lambda item: item.ident]),
            "concurrency": choice([1, 2, 3]),
            "retry": choice([None, None, Retry(attempts=3, base=0.1), Retry(on=(ValueError,), base=1.0)]),
            "on_error": choice(["raise", "raise", "bisect"]),
            "max_pending": choice([5, 20, 1000]),
            "timeout": choice([TIMEOUT, TIMEOUT, None]),
        }
        if choice([True, False]):
            self.options |= {"weigh": lambda item: item.weight, "max_weight": choice([4, 6, 20])}
        self.is_once = self.options["retry"] is None and self.options["on_error"] == "raise"
        self.handler = batch(name=f"walk {seed}", **self.options)(self.handle)

    # -- the handler

    async def handle(self, items: list):
        self.check_batch(items)
        self.active += 1
        try:
            for _ in range(4):  # handlers that were given up at this very moment leave first
                await asyncio.sleep(0)
            if self.active > self.options["concurrency"]:
                self.broken.append(f"{self.active} handler calls at once")
            return await self.reply(items)
        finally:
            self.active -= 1

    def check_batch(self, items):
        limits = self.handler.limits
        if not 0 < len(items) <= limits.largest:
            self.broken.append(f"{len(items)} items, max_size={limits.largest}")
        if limits.max_weight and sum(item.weight for item in items) > limits.max_weight:
            self.broken.append(f"{items} weigh more than {limits.max_weight}")
        if limits.key and len({item.key for item in items}) > 1:
            self.broken.append(f"{items} have several keys")
        if limits.dedupe and len({item.ident for item in items}) < len(items):
            self.broken.append(f"{items} has duplicates")
        if self.options["on_error"] == "raise":  # halves are called again whoever waits
            gone = [item for item in items if self.done.get(item.id, math.inf) < self.loop.turns]
            if gone:
                self.broken.append(f"nobody waits for {gone}")
        self.seen.update(item.id for item in items)
        for item in items:
            if item.id in self.singles:
                self.orders[item.key if limits.key else None].append(item.id)

    async def reply(self, items):
        answers = [answer_to(item) for item in items]
        odds = self.random.random()
        await asyncio.sleep(self.random.choice([0, 0, 0.001, 0.02, 0.02, 0.2]))
        if self.options["on_error"] == "bisect" and any(item.ident % 17 == 0 for item in items):
            raise ValueError("poison")
        if odds < 0.5:
            return answers
        if odds < 0.65:
            bad = [
                Failed("no"),
                Failed("later", retryable=True),
                ValueError("no"),
                asyncio.CancelledError(),
                Failed(ValueError()),
            ]
            return [self.random.choice([value, Ok(value), *bad]) for value in answers]
        if odds < 0.75:
            raise self.random.choice([ValueError("all"), asyncio.CancelledError(), ConnectionError()])
        if odds < 0.8:
            return self.random.choice([answers[1:], [*answers, "one more"], None, "text", iter(answers)])
        if odds < 0.85:
            return {item: answer_to(item) for item in items if item.ident % 7}
        if odds < 0.9 and self.options["timeout"]:
            await self.loop.create_future()
        if odds < 0.95:
            await asyncio.sleep(0.45)
        return tuple(answers)

    # -- the callers

    def item(self):
        ident = self.random.randrange(40 if self.options["dedupe"] else 10**6)
        if self.handler.limits.max_weight == 4:
            ident -= ident % 5 == 4 and self.random.random() < 0.9
        return Item(next(self.ids), ident)

    def call(self):
        item = self.item()
        self.singles.add(item.id)
        try:
            future = self.random.choice([self.handler, self.handler.ticket])(item)
        except (QueueFull, BatcherClosed):
            return
        self.surely += 1
        called = self.loop.time()
        self.waiting.add(future)
        future.add_done_callback(lambda done: self.check_call(done, item, called))

    def check_call(self, future, item, called):
        self.waiting.discard(future)
        self.done[item.id] = self.loop.turns
        if self.loop.time() - called > TIMEOUT + 1e-6 and self.options["timeout"]:
            self.late.append((item, self.loop.time() - called))
        if not future.cancelled():
            self.check(item, future.exception() or future.result())

    def check(self, item, value):
        if isinstance(value, Failed):
            value = value.exception()
        if not (value == answer_to(item) or isinstance(value, BatchError | ValueError)):
            self.broken.append(f"{item} was answered {value!r}")

    async def list_call(self):
        items = [self.item() for _ in range(self.random.choice([0, 1, 3, 10, 40]))]
        self.maybe += len(items)
        way = self.random.choice(["many", "outcomes", "outcomes now"])
        try:
            if way == "many":
                values = await self.handler.many(items, return_exceptions=True)
            else:
                outcomes = await self.handler.outcomes(items, wait=way == "outcomes")
                values = [found.value if found.ok else found for found in outcomes]
        except (QueueFull, BatcherClosed):
            self.maybe -= len(items)
            return
        self.surely += len(items)
        self.maybe -= len(items)
        for item, value in zip(items, values, strict=True):
            self.check(item, value)

    async def stream_call(self):
        pulled = []
        count = self.random.choice([1, 5, 30])

        def source():
            for _ in range(count):
                pulled.append(self.item())
                self.maybe += 1
                yield pulled[-1]
            if self.random.random() < 0.1:
                raise KeyError("source")

        async def slow_source():
            for item in source():
                await asyncio.sleep(self.random.choice([0, 0, 0.01]))
                yield item

        is_ordered = self.random.random() < 0.5
        limit = self.random.choice([0, 1, 3, 1000])
        found = {}
        outcomes = self.handler.stream(self.random.choice([source, slow_source])(), ordered=is_ordered)
        with contextlib.suppress(BatcherClosed, KeyError):
            async with contextlib.aclosing(outcomes):
                turn = 0
                async for outcome in outcomes:
                    index, value = (turn, outcome) if is_ordered else outcome
                    found[index] = value
                    turn += 1
                    if turn > limit:
                        break
                    await asyncio.sleep(self.random.choice([0, 0, 0.05]))
        for index, value in found.items():
            self.check(pulled[index], value.value if value.ok else value)

    # -- the walk

    async def step(self):
        odds = self.random.random()
        if odds < 0.6:
            for _ in range(self.random.choice([1, 1, 2, 5, 15])):
                self.call()
        elif odds < 0.75:
            self.start(self.list_call())
        elif odds < 0.8:
            self.start(self.stream_call())
        elif self.waiting:
            for target in self.random.sample(sorted(self.waiting, key=id), min(len(self.waiting), 3)):
                target.cancel()
        await asyncio.sleep(self.random.choice([0, 0, 0, 0.003, 0.02, 0.3]))
        self.check_gauges()

    def start(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.append(task)
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)

    @property
    def batcher(self):
        return self.handler._loops.open(self.loop).batcher  # noqa: SLF001 - room and timers have no public face

    def check_gauges(self):
        room = self.batcher.room
        assert 0 <= room.free <= self.options["max_pending"], room
        assert len(self.batcher.running) <= self.options["concurrency"]
        assert not self.broken

    async def close(self):
        way = self.random.choice(CLOSINGS)
        if way == "drain":
            await self.handler.aclose()
        elif way == "drain in time":
            await self.handler.aclose(timeout=0.1)
        elif way == "abort":
            await self.handler.aclose(drain=False)
        if way != "wait":
            with pytest.raises(BatcherClosed):
                self.handler(self.item())
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        for result in results:
            if result is not None and not isinstance(result, asyncio.CancelledError):
                raise result
        while self.waiting:
            await asyncio.wait(set(self.waiting))
        assert await self.batcher.idle(None)
        for _ in range(5):
            await asyncio.sleep(0)

    def check_end(self):
        assert not self.broken
        assert not self.late
        assert not self.loop.complaints
        assert self.active == 0
        room, stats = self.batcher.room, self.handler.stats()
        assert room.free == self.options["max_pending"]
        assert room.free_weight == self.handler.limits.max_pending_weight
        assert room.is_open == (not self.batcher.is_draining)
        assert (stats.pending, stats.pending_weight) == (0, 0.0)
        assert (stats.running_batches, stats.running_items) == (0, 0)
        assert repr(self.batcher.coalescer).startswith("<Coalescer 0 items under ")
        assert self.options["key"] is None or "under 0 keys" in repr(self.batcher.coalescer)
        assert self.loop.timers() == []
        answered = sum(stats.items[name] for name in ("ok", "failed", "cancelled", "expired"))
        assert self.surely <= answered <= self.surely + self.maybe
        if self.is_once:
            assert set(self.seen.values()) <= {1}
            for order in self.orders.values():
                assert order == sorted(order)


async def walk(seed):
    one = Walk(seed, asyncio.get_running_loop())
    for _ in range(STEPS):
        await one.step()
    await one.close()
    one.check_end()


@pytest.mark.parametrize("start", range(0, WALKS, 10))
def test_whatever_happens_every_item_gets_its_own_answer_once(start, caplog):
    caplog.set_level(logging.CRITICAL, logger="gristmill.batching")
    for seed in range(start, start + 10):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            try:
                runner.run(walk(seed))
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
