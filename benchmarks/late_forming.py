"""Does a batch form late? 500 calls at 500/s into a handler that takes 100 ms whatever the size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiodataloader import DataLoader

from benchmarks.measure import Report, Sample, Settings, interleave, spread
from gristmill import batch

CALLS = 500
RATE = 500.0
HANDLER_SECONDS = 0.1
CAP = 100
WINDOW = 0.01

Handler = Callable[[list[int]], Awaitable[list[int]]]
Call = Callable[[int], Awaitable[int]]


def gristmill(handler: Handler) -> Call:
    return batch(max_size=CAP, max_wait=WINDOW, concurrency=1)(handler)


def aiodataloader(handler: Handler) -> Call:
    return DataLoader(handler, max_batch_size=CAP, cache=False).load


SUBJECTS: dict[str, Callable[[Handler], Call]] = {"gristmill": gristmill, "aiodataloader": aiodataloader}


async def arrivals(subject: str) -> Sample:
    """Call at fixed instants, whatever has been answered; count the batches that the handler saw."""
    sizes: list[int] = []

    async def handler(items: list[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(HANDLER_SECONDS)
        return items

    call = SUBJECTS[subject](handler)
    loop = asyncio.get_running_loop()
    started = loop.time()
    latencies: list[float] = []

    async def caller(item: int) -> None:
        due_at = started + item / RATE
        await asyncio.sleep(due_at - loop.time())
        assert await call(item) == item
        latencies.append(loop.time() - due_at)

    await asyncio.gather(*(caller(item) for item in range(CALLS)))
    assert sum(sizes) == CALLS
    latencies.sort()
    return {
        "batches": len(sizes),
        "mean": CALLS / len(sizes),
        "seconds": loop.time() - started,
        "p50": latencies[len(latencies) // 2] * 1e3,
        "p99": latencies[len(latencies) * 99 // 100] * 1e3,
    }


def timed(subject: str) -> Sample:
    started = time.monotonic()
    found = asyncio.run(arrivals(subject))
    assert time.monotonic() - started < 30, f"{subject} took over 30 s"
    return found


def run(settings: Settings) -> Report:
    columns = ("subject", "batches", "mean size", "seconds", "p50 ms", "p99 ms")
    report = Report(
        "late forming: 500 calls at 500/s, handler 100 ms, cap 100, window 10 ms, one slot", columns
    )
    chosen = {name: lambda name=name: timed(name) for name in SUBJECTS if settings.wants(name)}
    taken = interleave(chosen, settings.passes)
    report.samples["arrivals"] = taken
    for name in taken:
        row = [f"{spread(taken, name, quantity):.0f}" for quantity in ("batches", "mean")]
        row += [f"{spread(taken, name, 'seconds'):.2f}"]
        row += [f"{spread(taken, name, quantity):.0f}" for quantity in ("p50", "p99")]
        report.rows.append((name, *row))
    if "gristmill" in taken:
        report.judge("batches formed of 500 calls", spread(taken, "gristmill", "batches"), 13, unit="batches")
    report.remarks.append("aiodataloader has no limit on running batches: all its handler calls overlap")
    return report
