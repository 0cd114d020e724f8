"""A process that enqueues jobs one after another and says the id of each once it is safe: `URL`."""

from __future__ import annotations

import asyncio
import sys

from gristmill import batch
from gristmill.queue.service import Jobs


@batch(name="numbers")
async def numbers(items: list[int]) -> list[int]:
    return items


async def main() -> None:
    jobs = Jobs([numbers], sys.argv[1])
    await jobs.open()
    for number in range(100_000):
        ref = await jobs.enqueue("numbers", [number, number + 1])
        print(ref.id, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(main())
