"""A worker process for tests: `python effects.py URL FOLDER`.

Its handler writes the items it gets with a ``BulkWriter``, in the transaction of its batch, says so, and
waits for FOLDER/go before it answers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from gristmill import Failed, QueueOptions, batch
from gristmill.batching.context import BatchContext
from gristmill.databases import BulkLoader, BulkWriter
from gristmill.queue.service import Jobs


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the test reads it


async def main(url: str, folder: Path) -> None:
    writer = BulkWriter(url, "effect")
    loader = BulkLoader(url, "effect", returning=("item",))

    @batch(name="numbers", max_size=100, timeout=600)
    async def numbers(items: list[int], ctx: BatchContext) -> list[Any | Failed]:
        stored = await writer.insert([{"item": item} for item in items], returning=("item",), ctx=ctx)
        inside = loader.within(ctx)
        seen = await inside.load_many(items)
        assert seen == [None if isinstance(each, Failed) else each for each in stored]
        await inside.aclose()
        say(f"wrote {len(items)}")
        while not (folder / "go").exists():  # noqa: ASYNC110 - another process makes the file
            await asyncio.sleep(0.01)
        return [each if isinstance(each, Failed) else each["item"] for each in stored]

    jobs = Jobs([numbers], url, options={"numbers": QueueOptions(lease=1.0, transactional=True)})
    await jobs.start()
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
