"""The client of programs without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill import Ok, SyncBatchClient, SyncClient
from gristmill.errors import BatcherClosed, ItemFailed


@pytest.fixture
def client(uvicorn_server: Any) -> Iterator[SyncClient]:
    with SyncClient(f"http://127.0.0.1:{uvicorn_server.port}") as made:
        yield made


def test_calls_of_many_threads_meet(client: SyncClient) -> None:
    echo = client.handler("echo")
    found: dict[int, Any] = {}

    def one(index: int) -> None:
        found[index] = echo({"text": str(index)})

    threads = [threading.Thread(target=one, args=(index,)) for index in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {index: {"text": str(index)} for index in range(50)}


def test_lists_and_streams(client: SyncClient) -> None:
    anything = client.handler("anything")
    assert anything.many([1, 2]) == [1, 2]
    assert list(anything.map(range(5000))) == [Ok(index) for index in range(5000)]
    assert sorted(anything.map(range(100), ordered=False), key=lambda pair: pair[0]) == [
        (index, Ok(index)) for index in range(100)
    ]
    assert anything.describe().name == "anything"
    with pytest.raises(ItemFailed):
        client.handler("refusing")("no")


def test_jobs(client: SyncClient, tmp_path: Path) -> None:
    anything = client.handler("anything")
    job = anything.enqueue(range(100))
    assert job.wait(240).counts.succeeded == 100
    assert [each.state for each in job.events()][-1] == "completed"
    assert sorted(each.index for each in job.results()) == list(range(100))
    assert client.job(job.id).status().id == job.id
    assert job.id in [each.id for each in client.jobs(handler="anything")]
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"1\n2\n")
    assert anything.enqueue_file(path).wait(240).counts.total == 2
    job.delete()


def test_sources_may_call_other_handlers(client: SyncClient) -> None:
    anything, echo = client.handler("anything"), client.handler("echo")

    def source() -> Iterator[Any]:
        return (echo({"text": str(index)})["text"] for index in range(3))

    assert anything.many(source()) == ["0", "1", "2"]
    assert anything.outcomes(source()) == list(anything.map(source())) == [Ok("0"), Ok("1"), Ok("2")]
    assert anything.enqueue(source()).wait(240).counts.succeeded == 3


def test_an_array_endpoint_of_others(uvicorn_server: Any) -> None:
    url = f"http://127.0.0.1:{uvicorn_server.port}/v1/anything/batch"
    with SyncBatchClient[int, int](
        url, decode=lambda found: [each["result"] for each in found["items"]]
    ) as anything:
        assert anything(1) == 1
        assert anything.many(range(250)) == list(range(250))
        assert list(anything.map(range(250))) == [Ok(index) for index in range(250)]
    with pytest.raises(BatcherClosed):
        anything(1)
