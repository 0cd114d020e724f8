"""A cluster: the whole store in one slot, wherever the URL points."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.model.lease import Claim


@pytest.fixture
async def cluster(lab: Any) -> tuple[Any, Any]:
    """Two primaries that share the slots."""
    servers = [lab.serve(**{"cluster-enabled": "yes"}) for _ in range(2)]
    for server, slots in zip(servers, ((0, 8191), (8192, 16383)), strict=True):
        await lab.ask(server, "CLUSTER", "ADDSLOTSRANGE", *slots)
    (bus,) = (await lab.ask(servers[1], "CONFIG", "GET", "cluster-port")).values()
    await lab.ask(servers[0], "CLUSTER", "MEET", "127.0.0.1", servers[1].port, bus)

    async def is_whole() -> bool:
        found = [await lab.ask(server, "CLUSTER", "INFO") for server in servers]
        return all(b"cluster_state:ok" in _text(each) and b"known_nodes:2" in _text(each) for each in found)

    await lab.until(is_whole)
    return servers[0], servers[1]


def _text(answer: Any) -> bytes:
    if isinstance(answer, dict):
        return b"\n".join(f"{name}:{value}".encode() for name, value in answer.items())
    return answer if isinstance(answer, bytes) else str(answer).encode()


async def test_a_store_is_on_one_node_and_found_from_any(lab: Any, cluster: tuple[Any, Any]) -> None:
    stores = [lab.reach(server) for server in cluster]
    for store in stores:
        await store.open()
        await store.enqueue([lab.new(20, chunk=5, key=key, queue="numbers") for key in (None, "a")])
    ran = 0
    while isinstance(found := await lab.claim(stores[ran % 2]), Claim):
        await lab.succeed(stores[ran % 2], found)
        ran += 1
    assert [job.counts.succeeded for job in (await stores[0].jobs()).jobs] == [20] * 4
    await stores[0].enqueue([lab.new()])
    await stores[1].wait(["numbers"], 50)
    assert await stores[1].prune("numbers", older_than=-1) == 4
    sizes = [await lab.ask(server, "DBSIZE") for server in cluster]
    assert sorted(size > 0 for size in sizes) == [False, True]
