"""A process that takes in a large job under the unique key "k" and waits for a line in the middle: `URL`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import msgspec

from gristmill import batch
from gristmill.errors import UploadAbandoned
from gristmill.queue.service import Jobs


@batch(name="numbers")
async def numbers(items: list[int]) -> list[int]:
    return items


async def source() -> AsyncIterator[msgspec.Raw]:
    for number in range(4):
        yield msgspec.Raw(b" " * (9 << 20) + b"%d" % number)
        if number == 1:
            print("coming", flush=True)  # noqa: T201 - the test reads it
            await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    jobs = Jobs([numbers], sys.argv[1])
    try:
        await jobs.enqueue("numbers", source(), unique="k")
    except UploadAbandoned as error:
        print("refused", error, flush=True)  # noqa: T201 - as above
    await jobs.stop()


if __name__ == "__main__":
    asyncio.run(main())
