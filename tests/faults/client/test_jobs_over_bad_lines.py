"""Jobs over connections that break: one job, each result once, the end of it seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from gristmill import Client, Retry, RetryBudget
from gristmill.client.jobs import remote_job, streams
from gristmill.model.job import JobState

PATIENT = Retry(attempts=30, base=0.001, cap=0.02)
PLENTY = RetryBudget(share=1.0, minimum=10_000.0)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again at once, and go on for longer."""
    monkeypatch.setattr(remote_job, "_PAUSE", 0.01)
    monkeypatch.setattr(remote_job, "_LOST_AT_MOST", 1000)
    monkeypatch.setattr(streams, "_LONGEST_PAUSE", 0.01)


def client_of(proxy: Any, transport: Any) -> Client:
    url = f"http://127.0.0.1:{proxy.port}"
    return Client(url, transport=transport(), retry=PATIENT, budget=PLENTY)


def first_cut(*sizes: int) -> Callable[[], int | None]:
    left = list(sizes)
    return lambda: left.pop(0) if left else None


async def test_a_job_whose_answer_is_lost_is_one_job(cut: Any, transport: Any) -> None:
    proxy = await cut(first_cut(0, 50, 400))
    async with client_of(proxy, transport) as client:
        before = [job.id async for job in client.jobs.list(handler="heavy")]
        job = await client.handler("heavy").enqueue(["a", "b"])
        await job.wait(20)
        after = [job.id async for job in client.jobs.list(handler="heavy")]
    assert proxy.cuts == 3
    assert after == [job.id, *before]


async def test_results_come_once_each_however_often_the_line_breaks(cut: Any, transport: Any) -> None:
    chance = random.Random(7)
    proxy = await cut(lambda: chance.randrange(3_000, 60_000))
    async with client_of(proxy, transport) as client:
        job = await client.handler("anything").enqueue(range(5000))
        await job.wait(30)
        found = [each.index async for each in job.results()]
    assert proxy.cuts > 3
    assert sorted(found) == list(range(5000))


async def test_events_go_on_after_a_break(cut: Any, transport: Any) -> None:
    proxy = await cut(first_cut(10_000, 100, 300))
    async with client_of(proxy, transport) as client:
        job = await client.handler("lingering").enqueue(["a"])
        states = [each.state async for each in job.events()]
    assert states[-1] is JobState.COMPLETED
