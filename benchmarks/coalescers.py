"""The coalescers under test, each measured in a process of its own.

`python -m benchmarks.coalescers SUBJECT SCENARIO --seconds S` prints one JSON object. Costs are CPU time of
the process, in µs: these loops never wait, and CPU time leaves out what neighbours on the machine take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import psutil
import uvloop

CALLERS = 10_000
LIST_LENGTH = 1000
SLICE = 2000

Call = Callable[[int], Awaitable[int]]


async def echo(items: list[int]) -> list[int]:
    return items


def floor(_size: int) -> Call:
    """One future per item; all that one loop turn brought are settled in a loop at its end."""
    loop = asyncio.get_running_loop()
    pending: list[tuple[int, asyncio.Future[int]]] = []

    def settle() -> None:
        ready = pending.copy()
        pending.clear()
        for item, future in ready:
            future.set_result(item)

    def call(item: int) -> asyncio.Future[int]:
        future = loop.create_future()
        pending.append((item, future))
        if len(pending) == 1:
            loop.call_soon(settle)
        return future

    return call


def floor_by_batch(size: int) -> Call:
    """The same, settled one batch a turn: 100 futures stay in the processor's cache, 10 000 do not."""
    loop = asyncio.get_running_loop()
    pending: list[tuple[int, asyncio.Future[int]]] = []

    def settle() -> None:
        ready = pending[:size]
        del pending[:size]
        for item, future in ready:
            future.set_result(item)
        if pending:
            loop.call_soon(settle)

    def call(item: int) -> asyncio.Future[int]:
        future = loop.create_future()
        pending.append((item, future))
        if len(pending) == 1:
            loop.call_soon(settle)
        return future

    return call


def gristmill(size: int) -> Call:
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library

    return batch(max_size=size, max_pending=2 * CALLERS)(echo)


def aiodataloader(size: int) -> Call:
    from aiodataloader import DataLoader  # noqa: PLC0415 - each subject loads only its own library

    return DataLoader(echo, max_batch_size=size, cache=False).load


SUBJECTS: dict[str, Callable[[int], Call]] = {
    "floor": floor,
    "floor_by_batch": floor_by_batch,
    "gristmill": gristmill,
    "aiodataloader": aiodataloader,
}


def cost(elapsed: tuple[float, float], items: int) -> dict[str, float]:
    wall, cpu = elapsed
    return {"us": cpu / items * 1e6, "wall_us": wall / items * 1e6, "items": items}


async def burst(subject: str, size: int, seconds: float) -> dict[str, float]:
    """10 000 caller tasks, each awaiting one call after the other."""
    call = SUBJECTS[subject](size)
    stop_at = time.perf_counter() + seconds
    done = 0

    async def caller(first: int) -> None:
        nonlocal done
        item = first
        while True:
            for _ in range(5):
                assert await call(item) == item
                item += CALLERS
            done += 5
            if time.perf_counter() > stop_at:
                return

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(first) for first in range(CALLERS)))
    return cost((time.perf_counter() - wall, time.process_time() - cpu), done)


async def lone(subject: str, size: int, seconds: float) -> dict[str, float]:
    """One caller, one call at a time; of the fastest slice, as ``timeit`` has it: the rest is neighbours'."""
    if subject == "handler":

        async def call(item: int) -> int:
            return (await echo([item]))[0]

    else:
        call = SUBJECTS[subject](size)
    stop_at = time.perf_counter() + seconds
    slices = []
    while time.perf_counter() < stop_at:
        wall, cpu = time.perf_counter(), time.process_time()
        for item in range(SLICE):
            assert await call(item) == item
        slices.append(cost((time.perf_counter() - wall, time.process_time() - cpu), SLICE))
    return {**min(slices, key=lambda each: each["us"]), "items": SLICE * len(slices)}


async def many(subject: str, size: int, seconds: float) -> dict[str, float]:
    """One caller that hands over lists of 1000 items."""
    handler = SUBJECTS[subject](size)
    hand_over = handler.load_many if subject == "loader" else handler.many  # type: ignore[attr-defined]
    items = list(range(LIST_LENGTH))
    stop_at = time.perf_counter() + seconds
    done = 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < stop_at:
        for _ in range(10):
            assert await hand_over(items) == items
        done += 10 * LIST_LENGTH
    return cost((time.perf_counter() - wall, time.process_time() - cpu), done)


async def idle(subject: str, size: int, seconds: float) -> dict[str, float]:
    """How often the process is woken while nothing is pending, the end of the wait itself left out."""
    call = SUBJECTS[subject](size)
    await asyncio.gather(*(call(item) for item in range(1000)))
    await asyncio.sleep(0.05)
    process = psutil.Process()
    before = process.num_ctx_switches().voluntary
    await asyncio.sleep(seconds)
    return {"wakeups": max(0, process.num_ctx_switches().voluntary - before - 1)}


SCENARIOS = {"burst": burst, "lone": lone, "many": many, "idle": idle}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    chosen = parser.parse_args()
    scenario = SCENARIOS[chosen.scenario](chosen.subject, chosen.size, chosen.seconds)
    print(json.dumps(uvloop.run(scenario) if chosen.loop == "uvloop" else asyncio.run(scenario)))


if __name__ == "__main__":
    main()
