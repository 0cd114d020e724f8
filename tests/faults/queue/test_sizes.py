"""Payloads that are too large, and many that are large together: over HTTP, by a real server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import Server, running

pytestmark = pytest.mark.timeout(120)

MOST = 2_000
APP = """
from gristmill import App, QueueOptions, batch
from gristmill.http.settings import HttpLimits

@batch(name="texts", max_size=100)
async def texts(items: list[str]) -> list[list[int]]:
    return [[len(items), sum(map(len, items))]] * len(items)

app = App(
    handlers=[texts],
    store={url!r},
    queues={{"texts": QueueOptions(max_bytes={most})}},
    limits=HttpLimits(item_bytes=6_000, batch_bytes=50_000, job_bytes=100_000),
)
"""


@pytest.fixture
async def server(
    store_kind: str, store_url: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Server]:
    async with contextlib.AsyncExitStack() as stack:
        url = await store_url(store_kind, request, tmp_path, stack)
        (tmp_path / "texts.py").write_text(APP.format(url=url, most=MOST))
        yield stack.enter_context(running("gristmill", f"{tmp_path / 'texts.py'}:app"))


def _lines(*sizes: int) -> bytes:
    return b"".join(json.dumps("x" * size).encode() + b"\n" for size in sizes)


async def test_too_much_is_refused_and_what_is_taken_runs_in_bounded_batches_or_alone(server: Server) -> None:
    kind = "application/x-ndjson"
    whole = server.post("/v1/texts/jobs", _lines(*[500] * 300), content_type=kind)
    assert (whole.status, whole.problem()) == (413, "content_too_large")
    array = server.post("/v1/texts/jobs", ["x" * 500] * 150)
    assert (array.status, array.problem()) == (413, "content_too_large")
    endless = (_lines(*[500] * 20) for _ in range(100))  # no length is told
    sent = server.post("/v1/texts/jobs", endless, content_type=kind)
    assert (sent.status, sent.problem()) == (413, "content_too_large")
    assert server.get("/v1/jobs").json()["jobs"] == []

    sizes = [*[300] * 40, 5_000, *[300] * 40, 7_000, 10]
    made = server.post("/v1/texts/jobs", _lines(*sizes), content_type=kind, prefer="wait=60")
    assert made.status == 200
    assert made.json()["counts"]["succeeded"] == len(sizes) - 1
    answer = server.get(made.json()["links"]["results"])
    found = {line["index"]: line for line in map(json.loads, answer.body.splitlines())}
    assert found.keys() == set(range(len(sizes)))
    refused = found.pop(sizes.index(7_000))
    assert (refused["status"], refused["error"]["code"]) == (413, "too_large")
    assert found[sizes.index(5_000)]["result"] == [1, 5_000]
    del found[sizes.index(5_000)]
    batches = [line["result"] for line in found.values()]
    assert max(size for _, size in batches) <= MOST
    assert max(items for items, _ in batches) > 1
