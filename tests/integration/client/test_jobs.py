"""Jobs of a real App."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill import Client, Failed, Ok
from gristmill.client.jobs.remote_job import RemoteJob
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport
from gristmill.errors import DeadlineExceeded, ItemFailed, JobNotFinal, JobNotFound, RequestRefused
from gristmill.model.job import JobState


class Text(msgspec.Struct):
    text: str


async def test_a_job_from_its_items_to_its_results(client: Client) -> None:
    echo = client.handler("echo", item=Text, result=Text)
    job = await echo.enqueue([Text("a"), Text("b")])
    done = await job.wait(240)
    assert (done.state, done.counts.succeeded) == (JobState.COMPLETED, 2)
    found = [each async for each in job.results(ordered=True)]
    assert [(each.index, each.outcome) for each in found] == [(0, Ok(Text("a"))), (1, Ok(Text("b")))]
    await job.delete()
    with pytest.raises(JobNotFound):
        await job.status()


async def test_a_long_stream_of_items_is_one_job(client: Client) -> None:
    job = await client.handler("anything").enqueue(iter(range(20_000)))
    assert (await job.wait(240)).counts.succeeded == 20_000
    assert [each.outcome.unwrap() async for each in job.results(ordered=True)] == list(range(20_000))


async def test_results_are_resumed_by_their_cursor(client: Client) -> None:
    job = await client.handler("anything").enqueue(range(3000))
    await job.wait(240)
    first = []
    async for each in job.results():
        first.append(each)
        if len(first) == 1234:
            break
    rest = [each async for each in job.results(after=first[-1].cursor)]
    assert sorted(each.index for each in first + rest) == list(range(3000))


async def test_a_key_makes_one_job_of_two_submissions(client: Client) -> None:
    anything = client.handler("anything")
    one = await anything.enqueue([1, 2], idempotency_key='import-"42"')
    two = await anything.enqueue([1, 2], idempotency_key='import-"42"')
    assert one.id == two.id
    with pytest.raises(RequestRefused) as caught:
        await anything.enqueue([3], idempotency_key='import-"42"')
    assert caught.value.code == "idempotency_key_reused"


async def test_events_tell_of_the_end(client: Client) -> None:
    job = await client.handler("anything").enqueue(range(100))
    states = [each.state async for each in job.events()]
    assert states[-1] is JobState.COMPLETED
    assert job.last.counts.succeeded == 100


async def test_failed_items_have_their_reasons_and_run_again(client: Client) -> None:
    job = await client.handler("refusing").enqueue(["no", "never"])
    await job.wait(240)
    found = [each async for each in job.results(status="failed")]
    assert {each.outcome.code for each in found if isinstance(each.outcome, Failed)} == {"no", "never"}
    assert (await job.retry()).retried == 2
    await job.wait(240)


async def test_a_job_that_waits_is_cancelled(client: Client) -> None:
    job = await client.handler("anything").enqueue([1, 2, 3], delay=3600)
    with pytest.raises(DeadlineExceeded):
        await job.wait(0.2)
    assert [each async for each in job.unprocessed()] == [1, 2, 3]
    with pytest.raises(JobNotFinal):
        await job.delete()
    await job.cancel([1])
    assert (await job.status()).counts.cancelled == 1
    await job.cancel()
    assert (await job.wait(240)).state is JobState.CANCELLED


@pytest.mark.parametrize("way", ["plain", "packed on the way", "packed"])
async def test_a_file_is_a_job(client: Client, tmp_path: Path, way: str) -> None:
    text = b"text,weight\n" + b"".join(b"t%d,%d\n" % (index, index % 9) for index in range(5000))
    path = tmp_path / ("rows.csv.gz" if way == "packed" else "rows.csv")
    path.write_bytes(gzip.compress(text) if way == "packed" else text)
    job = await client.handler("models").enqueue_file(path, compress=way == "packed on the way")
    assert (await job.wait(240)).counts.succeeded == 5000


async def test_a_bad_item_refuses_a_strict_job_and_fails_alone_in_another(client: Client) -> None:
    echo = client.handler("echo")
    with pytest.raises(RequestRefused) as caught:
        await echo.enqueue([{"text": "a"}, {"text": 1}], strict=True)
    assert caught.value.code == "invalid_item"
    job = await echo.enqueue([{"text": "a"}, {"text": 1}])
    assert (await job.wait(240)).counts.failed == 1


async def test_an_item_without_json_stores_nothing(client: Client) -> None:
    before = [job.id async for job in client.jobs.list(handler="anything")]
    with pytest.raises(ItemFailed):
        await client.handler("anything").enqueue([1, float("nan")])
    assert [job.id async for job in client.jobs.list(handler="anything")] == before


async def test_jobs_are_listed_page_by_page_and_found(client: Client) -> None:
    made = [(await client.handler("models").enqueue([{"text": "x"}])).id for _ in range(5)]
    listed: list[RemoteJob[Any]] = [job async for job in client.jobs.list(handler="models", page=2)]
    assert [job.id for job in listed][:5] == made[::-1]
    assert (await client.jobs.get(made[0])).id == made[0]
    with pytest.raises(JobNotFound):
        await client.jobs.get("job_00000000000000000000000000")


@pytest.mark.parametrize("transport", [AiohttpTransport, Httpx2Transport])
async def test_a_refusal_in_the_middle_of_an_upload_is_heard(uvicorn_server: Any, transport: Any) -> None:
    url = f"http://127.0.0.1:{uvicorn_server.port}/brisk"
    async with Client(url, transport=transport()) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.handler("echo").enqueue(iter([{"text": "x" * 1000}] * 50_000))
    assert (caught.value.status, caught.value.code) == (413, "too_many_items")
