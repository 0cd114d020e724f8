"""``GET /v1/jobs/{id}/events`` on real servers: progress, the end, and the drain."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest


class Events:
    """Reads one stream."""

    def __init__(self, server: Any, path: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)
        self._connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        self.response = self._connection.getresponse()

    def next(self) -> dict[str, str]:
        """Return the fields of the next event; empty at the end."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            if line == "\n":
                if "event" in fields:
                    return fields
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        return {}

    def close(self) -> None:
        self.response.close()
        self._connection.close()


def test_progress_is_told_until_the_end_and_then_no_more(server: Any) -> None:
    job = server.post("/v1/lingering/jobs?delay=0.2", ["a", "b"]).json()
    events = Events(server, job["links"]["events"])
    assert events.response.getheader("content-type") == "text/event-stream"
    seen = [events.next()]
    while seen[-1]["event"] == "progress":
        seen.append(events.next())
    assert seen[-1]["event"] == "done"
    assert json.loads(seen[-1]["data"])["counts"]["succeeded"] == 2
    assert len({each["id"] for each in seen}) == len(seen)
    assert events.next() == {}
    events.close()
    again = server.get(job["links"]["events"], last_event_id=seen[-1]["id"])
    assert (again.status, again.body) == (204, b"")
    late = server.get(job["links"]["events"], last_event_id=seen[0]["id"])
    assert b"event: done\n" in late.body


@pytest.mark.parametrize("kind", ["uvicorn", "granian"])
def test_a_stream_ends_with_the_server(start: Any, kind: str) -> None:
    with start(kind) as server:
        job = server.post("/v1/echo/jobs?delay=1000", [{"text": "a"}]).json()
        events = Events(server, job["links"]["events"])
        assert events.next()["event"] == "progress"
        assert server.stop() in (0, -15)
        assert events.next()["event"] == "drain"
        assert events.next() == {}
        events.close()
