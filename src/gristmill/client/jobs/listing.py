"""The jobs of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import UnsetType

from gristmill.client.formats import ValueReader
from gristmill.client.jobs.remote_job import RemoteJob
from gristmill.client.jobs.requests import JobRequests, job_in, with_query
from gristmill.client.sending import Sender
from gristmill.client.unreadable import UNREADABLE
from gristmill.errors import UnusableAnswer
from gristmill.model.job import JobState
from gristmill.wire import JobList

_LIST = msgspec.json.Decoder(JobList)


class RemoteJobs:
    """Made by ``Client.jobs``.

    Args:
        sender: Sends the requests.
        base: The URL below which the routes are.
        timeout: Seconds for a request.
    """

    def __init__(self, sender: Sender, base: str, timeout: float | None) -> None:
        self._requests = JobRequests(sender, timeout)
        self._base = base

    async def get(self, job: str, *, result: Any = Any) -> RemoteJob[Any]:
        """Return the job of that id.

        Args:
            job: Its id.
            result: The type that its results become.

        Raises:
            JobNotFound: There is none.
        """
        answer = await self._requests.send("GET", f"{self._base}/jobs/{quote(job, safe='')}")
        return RemoteJob(self._requests, self._base, job_in(answer), ValueReader(result))

    async def list(
        self, *, handler: str | None = None, state: JobState | str | None = None, page: int = 100
    ) -> AsyncIterator[RemoteJob[Any]]:
        """Yield the jobs there are, newest first.

        Args:
            handler: Only those of this handler.
            state: Only those in this state.
            page: Jobs of one request, 1 to 1000.
        """
        cursor: str | None = None
        results = ValueReader(Any)
        while True:
            query = {"handler": handler, "state": state, "limit": page, "cursor": cursor}
            answer = await self._requests.send("GET", with_query(f"{self._base}/jobs", query))
            try:
                found = _LIST.decode(answer.body)
            except UNREADABLE as error:
                raise UnusableAnswer(f"the answer lists no jobs: {error}") from error
            for job in found.jobs:
                yield RemoteJob(self._requests, self._base, job, results)
            if isinstance(found.cursor, UnsetType):
                return
            cursor = found.cursor
