"""What operators see of the store: readiness and metrics, with the store there and away."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill import batch
from gristmill.errors import StoreMisconfigured, StoreUnavailable
from gristmill.http.service import answers, standing
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.service import Jobs


class Away(MemoryStore):
    """A store that is away while *error* says why."""

    error: Exception | None = None

    async def open(self) -> None:
        if self.error is not None:
            raise self.error

    async def now(self) -> float:
        if self.error is not None:
            raise self.error
        return await super().now()


@batch(name="echo")
async def echo(items: list[str]) -> list[str]:
    return items


@pytest.fixture
def store() -> Away:
    return Away()


@pytest.fixture
def jobs(store: Away) -> Jobs:
    return Jobs([echo], store)


async def test_a_store_that_answers_is_ready(jobs: Jobs) -> None:
    assert await answers(jobs)
    await jobs.enqueue(echo, ["a"])
    (queue,) = await standing(jobs) or []
    assert (queue.name, queue.ready) == ("echo", 1)


async def test_a_store_that_is_away_is_not_ready_and_is_when_it_is_back(jobs: Jobs, store: Away) -> None:
    store.error = StoreUnavailable("refused")
    assert not await answers(jobs)
    assert await standing(jobs) is None
    store.error = None
    assert await answers(jobs)
    assert await standing(jobs) == []


async def test_a_file_that_no_job_has_made_yet_is_left_unmade(tmp_path: Any) -> None:
    jobs = Jobs([echo], f"sqlite:///{tmp_path}/queue.db")
    assert await answers(jobs)
    assert await standing(jobs) == []
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_starts_when_its_store_is_there(jobs: Jobs, store: Away) -> None:
    store.error = StoreUnavailable("refused")
    await jobs.start_when_there()
    assert jobs.worker is None
    store.error = None
    ref = await jobs.enqueue(echo, ["a"])
    await ref.wait(10)
    await jobs.stop(0)


async def test_a_store_that_would_lose_jobs_is_told_at_the_start(jobs: Jobs, store: Away) -> None:
    store.error = StoreMisconfigured("noeviction")
    with pytest.raises(StoreMisconfigured):
        await jobs.start_when_there()
