"""A worker process for tests: `python worker.py URL FOLDER [--mode MODE] [--lease SECONDS] ...`.

Its handler notes each item it has seen in FOLDER/seen (one line of text, written at once, so that a kill
loses nothing of it) and then does what the mode says. What the process is up to it prints, line by line.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gristmill import Breaker, Failed, QueueOptions, Retry, batch
from gristmill.batching.context import BatchContext
from gristmill.queue.service import Jobs

POISON = 13
STORM = 1000
"""Items from which on a handler in a storm fails."""
COOL_DOWN = 0.2
"""Seconds for which a breaker that a test has asked for is open, at the least."""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the test reads it


class Handler:
    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        self.mode = mode
        self.seen = os.open(folder / "seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, items: list[int], ctx: BatchContext) -> None:
        end = f"{ctx.attempt} {time.monotonic()} {os.getpid()}\n"
        os.write(self.seen, "".join(f"{item} {end}" for item in items).encode())

    async def run(self, items: list[int], ctx: BatchContext) -> Any:
        if self.mode == "wait_before":
            say(f"holding {len(items)}")
            await self.gate()
        self.note(items, ctx)
        if self.mode == "poison" and POISON in items:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "block":  # holds the event loop, as careless code does
            say(f"holding {len(items)}")
            while not (self.folder / "go").exists():
                time.sleep(0.01)  # noqa: ASYNC251 - that is the point
        if self.mode == "wait_after":
            say(f"holding {len(items)}")
            await self.gate()
        if self.mode == "transaction":
            await self.write(items, ctx.transaction)
            say(f"holding {len(items)}")
            await self.gate()
        if self.mode == "savepoints":
            return [await self.write_or_fail(item, ctx.transaction) for item in items]
        return self.reply(items)

    def reply(self, items: list[int]) -> Any:
        if self.mode == "outage" and not (self.folder / "go").exists():
            return [Failed("down", "down", retryable=True) for _ in items]
        if self.mode == "storm":
            return [Failed("down", "down", retryable=True) if item >= STORM else item for item in items]
        if self.mode == "raise" and POISON in items:
            raise ValueError("not this one")
        if self.mode == "short":
            return list(items[:-1])
        if self.mode == "missing":  # and an item that nobody asked for
            return {item: item for item in [*items, -1] if item != POISON}
        if self.mode == "odd":
            return [Failed("odd", "odd") if item % 2 else item for item in items]
        return list(items)

    async def gate(self) -> None:
        try:
            while not (self.folder / "go").exists():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            say("stopped")
            raise

    async def write(self, items: list[int], connection: Any) -> None:
        rows = [(item,) for item in items]
        if hasattr(connection, "pragma"):  # apsw
            connection.executemany("INSERT INTO effect (item) VALUES (?)", rows)
        else:
            await connection.executemany("INSERT INTO effect (item) VALUES ($1)", rows)

    async def write_or_fail(self, item: int, connection: Any) -> int | Failed:
        """Write two rows for *item* in a savepoint, and fail it alone if the database refuses one."""
        statements = [
            f"INSERT INTO {table} (item) VALUES ({item})"  # noqa: S608 - numbers of the test's own
            for table in ("effect", "strict")
        ]
        if hasattr(connection, "pragma"):  # apsw
            import apsw  # noqa: PLC0415 - only where a test needs it

            try:
                with connection:
                    for statement in statements:
                        connection.execute(statement)
            except apsw.ConstraintError as error:
                return Failed(str(error), "refused")
            return item
        import asyncpg  # noqa: PLC0415 - as above

        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        except asyncpg.CheckViolationError as error:
            return Failed(str(error), "refused")
        return item


def set_clock(offsets: Sequence[float]) -> None:
    """Put this process's clock off by each of *offsets* in turn: with two of them it jumps at every look."""
    seconds, nanoseconds, turn = time.time, time.time_ns, itertools.cycle(offsets)
    time.time = lambda: seconds() + next(turn)
    time.time_ns = lambda: nanoseconds() + int(next(turn) * 1e9)


def set_patience(seconds: float) -> None:
    """Wait no longer than *seconds* for the lock of an SQLite file."""
    from gristmill.queue.sqlite import database  # noqa: PLC0415 - only where a test needs it

    database.BUSY_TIMEOUT = seconds


def be_newer() -> None:
    """Know one more version of each store's schema, as the next release may."""
    from gristmill.queue.postgres import migrating  # noqa: PLC0415 - only where a test needs it
    from gristmill.queue.redis import store  # noqa: PLC0415 - as above
    from gristmill.queue.sqlite import schema  # noqa: PLC0415 - as above

    of_file, of_server = schema.migrations(), migrating.migrations
    schema.migrations = lambda: [*of_file, "ALTER TABLE gristmill_job ADD COLUMN hue TEXT"]
    migrating.migrations = lambda name: (*of_server(name), f"ALTER TABLE {name}.job ADD COLUMN hue text")
    store.SCHEMA += 1


def breaker_of(batches: int | None) -> Breaker | None:
    """Return the one there is by default, none for 0, or one that opens after *batches* for a short while."""
    if batches is None:
        return Breaker()
    return Breaker(batches=batches, items=1, wait=COOL_DOWN, max_wait=2 * COOL_DOWN) if batches else None


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", default="plain")
    parser.add_argument("--lease", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--crashes", type=int, default=3)
    parser.add_argument("--grace", type=float, default=0.0)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--base", type=float, default=0.01)
    parser.add_argument("--breaker", type=int, help="all-failed batches in a row; 0 is none")
    parser.add_argument("--beside", action="store_true", help="work the queue `beside` as well")
    parser.add_argument("--clock", type=float, nargs="+", default=(0.0,))
    parser.add_argument("--patience", type=float)
    parser.add_argument("--newer", action="store_true")
    chosen = parser.parse_args()
    set_clock(chosen.clock)
    if chosen.patience is not None:
        set_patience(chosen.patience)
    if chosen.newer:
        be_newer()
    handler = Handler(chosen.folder, chosen.mode)

    @batch(
        name="numbers",
        max_size=chosen.size,
        timeout=600,
        on_error="bisect" if chosen.mode == "raise" else "raise",
    )
    async def numbers(items: list[int], ctx: BatchContext) -> list[int | Failed]:
        found: list[int | Failed] = await handler.run(items, ctx)
        return found

    @batch(name="beside")
    async def beside(items: list[int]) -> list[int]:
        return items

    options = QueueOptions(
        lease=chosen.lease,
        max_crashes=chosen.crashes,
        retry=Retry(attempts=chosen.attempts, base=chosen.base),
        transactional=chosen.mode in ("transaction", "savepoints"),
        breaker=breaker_of(chosen.breaker),
    )
    handlers = [numbers, beside] if chosen.beside else [numbers]
    jobs = Jobs(handlers, chosen.url, options={"numbers": options})
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = await jobs.start()
    say("ready")
    await stop.wait()
    await jobs.stop(chosen.grace)
    lane = worker.lanes[0]
    say(f"counts {lane.counts | {'openings': lane.gate.status.openings}}")


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
