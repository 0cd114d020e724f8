"""A newer release comes while workers of the older one are in the middle of their batches."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)

GRISTMILL = Path(sys.executable).with_name("gristmill")
APP = """
from gristmill import App, batch

@batch(name="numbers")
async def numbers(items: list[int]) -> list[int]:
    return items

app = App(handlers=[numbers], store={url!r})
"""


async def test_old_and_new_workers_share_the_work_over_a_newer_schema_and_no_old_one_starts_on_it(
    mill: Any, tmp_path: Path
) -> None:
    old = await mill.worker("--mode", "wait_before", "--size", "10", "--lease", "2")
    held = [await mill.jobs.enqueue("numbers", range(at, at + 10)) for at in (0, 10)]
    await old.says("holding")
    new = await mill.worker("--newer", "--size", "10")
    by_new = await mill.jobs.enqueue("numbers", range(20, 30))
    assert (await by_new.wait(30)).counts.succeeded == 10
    downgraded = asyncio.create_task(_work(mill.url, tmp_path))
    new.signal(signal.SIGTERM)
    assert await new.ended() == 0
    code, said = await downgraded
    assert code == 2
    assert said.count("\n") == 1
    assert "schema" in said
    mill.go()  # the old one ends what it has, and goes on
    by_old = await mill.jobs.enqueue("numbers", range(30, 40))
    for ref in (*held, by_old):
        await ref.wait(30)
    for ref in (*held, by_new, by_old):
        assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(40), 1)
    old.signal(signal.SIGTERM)
    assert "'stale': 0" in await old.says("counts")
    assert await old.ended() == 0


async def _work(url: str, folder: Path) -> tuple[int | None, str]:
    """Start a worker of this release by its command, and return how it ended and what it said."""
    (folder / "plain.py").write_text(APP.format(url=url))
    process = await asyncio.create_subprocess_exec(
        GRISTMILL,
        "work",
        "plain.py:app",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, said.decode()
