"""An App over a store in memory, and the commands that look at it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gristmill import App, Failed, batch
from gristmill.cli.commands import app as command
from gristmill.model.job import Job
from gristmill.queue.memory.store import MemoryStore

NOW = 1_800_000_000.0


class Shop:
    """An importable App with a handler ``mails``, and what its users do.

    Attributes:
        now: What the store's clock says.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @batch(name="mails", max_size=100)
        async def mails(items: list[str]) -> list[str | Failed]:
            return [Failed(f"no \x1b[31m{each}", code="bad") if "x" in each else each for each in items]

        @batch(name="numbers")
        async def numbers(items: list[int]) -> list[int]:
            return items

        self.now = NOW
        self.store = MemoryStore(lambda: self.now)
        self.app = App(handlers=[mails, numbers], store=self.store)
        module = types.ModuleType("shop_once")
        module.__dict__.update(app=self.app, bare=App(handlers=[mails], store=None), mails=mails)
        module.__dict__["empty"] = App(handlers=[], store=self.store)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def run(self, *words: str, input: str | None = None) -> Result:
        """Run ``gristmill jobs`` on the App."""
        return run("jobs", *words, "--app", "shop_once:app", input=input)

    def json(self, *words: str) -> Any:
        """Run a command that must succeed, and return its document."""
        result = self.run(*words, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    def enqueue(self, items: Sequence[Any], handler: str = "mails", **options: Any) -> str:
        """Store a job and return its id."""

        async def enqueue() -> str:
            ref = await self.app.jobs.enqueue(handler, items, **options)
            await self.app.jobs.stop()
            return ref.id

        return asyncio.run(enqueue())

    def work(self, job: str) -> None:
        """Work until *job* is final."""

        async def work() -> None:
            await self.app.jobs.start()
            await self.app.jobs.wait(job)
            await self.app.jobs.stop()

        asyncio.run(work())

    def done(self, items: Sequence[Any]) -> str:
        """Store a job, work it and return its id."""
        job = self.enqueue(items)
        self.work(job)
        return job

    def job(self, job: str) -> Job:
        """Return a job that must be there."""
        found = asyncio.run(self.store.job(job))
        assert found is not None
        return found


def run(*words: str, input: str | None = None) -> Result:
    """Run ``gristmill`` with *words*."""
    return CliRunner(env={"GRISTMILL_APP": None, "COLUMNS": "80"}).invoke(command, list(words), input=input)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    """A shop in an empty working directory; imports are undone at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Shop(monkeypatch)


@pytest.fixture
def gristmill(shop: Shop) -> Any:
    """Run ``gristmill`` with some words."""
    return run


@pytest.fixture(autouse=True)
def _same_log_level() -> Iterator[None]:
    """Leave the log as loud as it was."""
    logger = logging.getLogger("gristmill")
    before = logger.level
    yield
    logger.setLevel(before)
