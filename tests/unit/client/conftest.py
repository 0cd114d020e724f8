"""A server that answers as a test says, called in this process on the test's own loop and clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Seen:
    """One request that came."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Said:
    """One answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    broken: bool = False
    """Whether the application fails in the middle, so that the connection ends."""


def verdicts(items: list[Any], **of_index: Any) -> dict[str, Any]:
    """Return the answer to a batch: each item back, or the problem of its index (``_1={...}``)."""
    entries = []
    for index, item in enumerate(items):
        bad = of_index.get(f"_{index}")
        entry = {"index": index, "status": 200, "result": item}
        if bad is not None:
            entry = {"index": index, "status": 422, "error": problem(**bad)}
        entries.append(entry)
    counts = {"total": len(items), "succeeded": 0, "failed": 0, "unprocessed": 0}
    return {"errors": bool(of_index), "took_ms": 1, "counts": counts, "items": entries}


def problem(code: str, **members: Any) -> dict[str, Any]:
    return {"type": f"/problems/{code}", "code": code, "title": code, "retryable": False, **members}


class Script:
    """An ASGI application; *answer* is given each request that is no description."""

    def __init__(self, answer: Callable[[Seen], Said]) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.described: Said = Said(problem("not_found"), 404)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        seen = Seen(asyncio.get_running_loop().time(), scope["method"], path, headers, body)
        if scope["method"] == "GET" and path.count("/") == 2 and not path.startswith("/v1/jobs"):
            said = self.described
        else:
            self.seen.append(seen)
            said = self.answer(seen)
        if said.pause:
            await asyncio.sleep(said.pause)
        if said.broken and said.body is None:
            raise OSError("cut off")
        fields = {"content-type": "application/json", **said.headers}
        start = {"type": "http.response.start", "status": said.status}
        start["headers"] = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send(start)
        text = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        await send({"type": "http.response.body", "body": text, "more_body": said.broken})
        if said.broken:
            raise OSError("cut off")


@pytest.fixture
def script() -> type[Script]:
    return Script


@pytest.fixture
def said() -> type[Said]:
    return Said


@pytest.fixture
def told_verdicts() -> Callable[..., dict[str, Any]]:
    return verdicts


@pytest.fixture
def told_problem() -> Callable[..., dict[str, Any]]:
    return problem


@pytest.fixture
def in_turn() -> Callable[..., Callable[[Seen], Said]]:
    """Answer requests with the given answers in turn, the last one for ever; functions are asked."""

    def make(*answers: Any) -> Callable[[Seen], Said]:
        left = list(answers)

        def answer(seen: Seen) -> Said:
            found = left.pop(0) if len(left) > 1 else left[0]
            return found(seen) if callable(found) else found

        return answer

    return make
