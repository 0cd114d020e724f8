"""Requests about jobs: what they all share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from gristmill.client.refusals import of_job
from gristmill.client.sending import Answer, Sender
from gristmill.client.transports.protocol import Body, Request
from gristmill.client.unreadable import UNREADABLE
from gristmill.errors import ClientError, UnusableAnswer
from gristmill.wire import JobReply

_JOB = msgspec.json.Decoder(JobReply)


class JobRequests:
    """Sends requests about jobs; what the server refuses is raised as in its own process.

    Args:
        sender: Sends them.
        timeout: Seconds for each; None waits without end.
    """

    def __init__(self, sender: Sender, timeout: float | None) -> None:
        self.sender = sender
        self.timeout = timeout

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        repeatable: bool = True,
        extra: float = 0.0,
        deadline: float = math.inf,
    ) -> Answer:
        """Return the answer to one request.

        Args:
            method: Of the request.
            url: Absolute, with its query.
            headers: Beside those of the client.
            body: Of the request.
            repeatable: Whether it may be done twice.
            extra: Seconds beyond the timeout: what the server was asked to wait.
            deadline: When the answer is of no use any more, on the loop's clock.

        Raises:
            GristmillError: ``JobNotFound`` and its kind, or a ``ClientError``.
        """
        limit = math.inf if self.timeout is None else self.timeout + extra
        request = Request(method=method, url=url, headers=headers or {}, body=body)
        try:
            deadline = min(deadline, asyncio.get_running_loop().time() + limit)
            return await self.sender.send(request, deadline=deadline, repeatable=repeatable)
        except ClientError as error:
            known = of_job(error)
            if known is error:
                raise
            raise known from error


def job_in(answer: Answer) -> JobReply:
    """Return the job that an answer shows; raises ``UnusableAnswer`` if it shows none."""
    return job_of(answer.body)


def job_of(text: bytes | str) -> JobReply:
    """Return the job that *text* is; raises ``UnusableAnswer`` if it is none."""
    try:
        return _JOB.decode(text)
    except UNREADABLE as error:
        raise UnusableAnswer(f"the answer shows no job: {error}") from error


def with_query(url: str, query: Mapping[str, Any]) -> str:
    """Return *url* with the parameters that are not None."""
    told = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }
    return f"{url}?{urlencode(told)}" if told else url
