"""The handlers of the integration tests inside a FastAPI application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from served_app import ordinary

fastapi = FastAPI()
fastapi.include_router(ordinary.router())


@fastapi.get("/metrics")
async def metrics(request: Request) -> Response:
    """Pass on what the App knows of its handlers."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await ordinary(request.scope, request.receive, send)
    return Response(sent[1]["body"])
