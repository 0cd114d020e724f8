"""Texts of callers: what a store cannot hold is refused before it comes there, the rest is kept as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from gristmill import batch
from gristmill.errors import ConfigurationError, InvalidItem, JobNotFound
from gristmill.model.job import Unique
from gristmill.queue.service import Jobs
from gristmill.queue.store import Store

ODD = ["\0", "a\0b", "é", "\U0001f600", "'; --", "{a}:b", " "]
HALF = "file-\udcff.csv"


@pytest.fixture
def jobs(store: Store) -> Jobs:
    @batch(name="numbers")
    async def numbers(items: list[int]) -> list[int]:
        return items

    @batch(name="keyed", key=lambda item: HALF if item == 3 else str(item))
    async def keyed(items: list[int]) -> list[int]:
        return items

    return Jobs([numbers, keyed], store)


async def test_odd_keys_are_kept_apart_and_found_again(queue: Any) -> None:
    made = [
        await queue.submit(1, key=text, unique=Unique(key=text, seconds=60, fingerprint=text)) for text in ODD
    ]
    behind = [await queue.submit(1, key=text) for text in ODD]
    for text, job in zip(ODD, made, strict=True):
        same = queue.new(1, unique=Unique(key=text, seconds=60, fingerprint=text))
        (found,) = await queue.store.enqueue([same])
        assert (found.job, found.created, found.matches) == (job, False, True)
    claim = await queue.claim()
    assert [chunk.key for chunk in claim.chunks] == ODD
    await queue.succeed(claim)
    assert [chunk.job for chunk in (await queue.claim()).chunks] == behind


async def test_keys_of_any_length_are_kept_apart_and_found_again(jobs: Any, queue: Any) -> None:
    keys = ["".join(Random(number).choices(ascii_letters, k=20_000)) for number in range(2)]
    keys.append(keys[0][:-1])
    made = [await jobs.enqueue("numbers", [1], key=key, unique=key, unique_for=60) for key in keys]
    behind = [await jobs.enqueue("numbers", [1], key=key) for key in keys]
    again = [await jobs.enqueue("numbers", [1], unique=key, unique_for=60) for key in keys]
    assert [ref.id for ref in again] == [ref.id for ref in made]
    claim = await queue.claim()
    assert [chunk.job for chunk in claim.chunks] == [ref.id for ref in made]
    await queue.succeed(claim)
    assert [chunk.job for chunk in (await queue.claim()).chunks] == [ref.id for ref in behind]


@pytest.mark.parametrize(
    "options",
    [
        {"key": HALF},
        {"unique": HALF},
        {"unique": "a", "fingerprint": HALF},
        {"key": 7},
        {"unique": 7},
    ],
    ids=str,
)
async def test_a_key_that_is_no_text_is_refused_and_nothing_is_stored(jobs: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"half a surrogate pair|is a text, not 7"):
        await jobs.enqueue("numbers", [1], **options)
    assert (await jobs.list()).jobs == ()


async def test_a_key_of_an_item_that_is_no_text_is_refused_with_its_place(jobs: Any) -> None:
    with pytest.raises(InvalidItem, match=r"its key has half a surrogate pair in it: 'file-") as told:
        await jobs.enqueue("keyed", [1, 2, 3])
    assert told.value.index == 2
    assert (await jobs.list()).jobs == ()


@pytest.mark.parametrize("id", ["\0", HALF, "job_1", "", "job_" + "0" * 25 + "\0"], ids=ascii)
async def test_what_cannot_be_the_id_of_a_job_is_that_of_none(jobs: Any, id: str) -> None:
    for ask in (jobs.get, jobs.retry):
        with pytest.raises(JobNotFound):
            await ask(id)
    with pytest.raises(JobNotFound):
        await anext(jobs.results(id))
    with pytest.raises(JobNotFound):
        await anext(jobs.unprocessed(id))
    assert not await jobs.cancel(id)
    assert not await jobs.cancel(id, items=[0])
    assert not await jobs.delete(id)
    assert await jobs.ids(id) == []


Ask = Callable[[Any, str], Awaitable[Any]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda jobs, text: jobs.list(handler=text),
        lambda jobs, text: jobs.pause(text),
        lambda jobs, text: jobs.resume(text),
        lambda jobs, text: jobs.dead(handler=text),
        lambda jobs, text: jobs.dead(job=text),
        lambda jobs, text: jobs.redrive(handler=text),
        lambda jobs, text: jobs.redrive(job=text),
    ],
    ids=["list", "pause", "resume", "dead handler", "dead job", "redrive handler", "redrive job"],
)
@pytest.mark.parametrize("name", ["\0", HALF], ids=ascii)
async def test_what_cannot_be_a_name_is_refused(store: Store, ask: Ask, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has a NUL in it|has half a surrogate pair in it"):
        await ask(Jobs((), store), name)


async def test_a_code_may_have_odd_characters_but_is_text(jobs: Any) -> None:
    assert await jobs.dead(code="\0") == []
    assert await jobs.redrive(code="\0") == 0
    for ask in (jobs.dead, jobs.redrive):
        with pytest.raises(ConfigurationError, match="code has half"):
            await ask(code=HALF)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_of_no_jobs_is_refused(jobs: Any, limit: int) -> None:
    await jobs.enqueue("numbers", [1])
    with pytest.raises(ConfigurationError, match="limit is how many jobs at most, 1 or more"):
        await jobs.list(limit=limit)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e30, "5", True], ids=str)
async def test_a_key_is_held_for_a_time_that_a_store_can_count(jobs: Any, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"unique_for is seconds, 0 to 1e\+10, not "):
        await jobs.enqueue("numbers", [1], unique="a", unique_for=seconds)
    assert (await jobs.enqueue("numbers", [1], unique="a", unique_for=1e10)).created
