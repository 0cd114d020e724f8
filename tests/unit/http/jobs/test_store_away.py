"""A server whose store is away when it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gristmill.errors import StoreUnavailable


async def test_it_starts_says_so_and_recovers_by_itself(open_desk: Callable[..., Any]) -> None:
    desk = await open_desk(away=StoreUnavailable("refused"))
    ready = await desk.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (503, {"ok": False})
    assert (await desk.client.post("/v1/echo", json={"text": "a"})).status_code == 200
    assert (await desk.client.get("/metrics")).status_code == 200
    made = await desk.make([{"text": "a"}])
    assert (made.status_code, made.json()["code"]) == (503, "store_unavailable")
    desk.store.error = None
    assert (await desk.client.get("/readyz")).status_code == 200
    done = await desk.make([{"text": "a"}], prefer="wait=10")
    assert done.json()["state"] == "completed"
    assert 'gristmill_queue_items{queue="echo",state="ready"} 0.0' in (await desk.client.get("/metrics")).text
