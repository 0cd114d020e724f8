"""What the tests of the SQLite store share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.model.chunk import NewChunk, cut
from gristmill.model.job import NewJob
from gristmill.queue.sqlite.store import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(f"sqlite:///{path}")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def new() -> Callable[..., tuple[NewJob, list[NewChunk]]]:
    """Return what makes jobs of numbers."""
    made = 0

    def new(
        items: int = 1, *, chunk: int = 100, key: str | None = None, **options: Any
    ) -> tuple[NewJob, list[NewChunk]]:
        nonlocal made
        made += 1
        job = NewJob(id=f"job_{made:026d}", **{"queue": "numbers", **options})
        texts = (str(number).encode() for number in range(items))
        return job, list(cut(texts, job=job.id, max_items=chunk, max_bytes=1 << 20, key=key))

    return new


@pytest.fixture
def claim(store: SqliteStore) -> Callable[..., Any]:
    """Return what claims."""

    async def claim(items: int = 1000, *, seconds: float = 60) -> Any:
        return await store.claim("numbers", worker="w", max_items=items, max_bytes=1 << 30, seconds=seconds)

    return claim


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Return what starts another process."""

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
