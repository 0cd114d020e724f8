"""What ``enqueue`` returns: one job, by its id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from gristmill.model.job import Job
from gristmill.queue.reading import ItemResult


class Jobs(Protocol):
    """Where the job is: the queue of an App."""

    async def get(self, job: str) -> Job:
        """Return a job as it stands; raises ``JobNotFound``."""

    async def wait(self, job: str, *, timeout: float | None = None) -> Job:
        """Return *job* once it is final; raises ``TimeoutError`` after *timeout* seconds, ``JobNotFound``."""

    def results(
        self, job: str, *, ordered: bool = False, after: str | None = None
    ) -> AsyncIterator[ItemResult]:
        """Yield the outcomes there are now."""

    async def cancel(self, job: str) -> bool:
        """Cancel what of *job* is not running."""


class JobRef:
    """A job, by its id.

    Attributes:
        id: Its id.
        created: Whether this call made it; False when its unique key named an earlier one.
    """

    __slots__ = ("_jobs", "created", "id")

    def __init__(self, jobs: Jobs, id: str, *, created: bool) -> None:
        self.id = id
        self.created = created
        self._jobs = jobs

    def __repr__(self) -> str:
        """Show the id."""
        return f"<JobRef {self.id}>"

    async def status(self) -> Job:
        """Return the job as it stands; raises ``JobNotFound`` once it was pruned."""
        return await self._jobs.get(self.id)

    async def wait(self, timeout: float | None = None) -> Job:
        """Return the job once it is final; raises ``TimeoutError`` after *timeout* seconds."""
        return await self._jobs.wait(self.id, timeout=timeout)

    def results(self, *, ordered: bool = False, after: str | None = None) -> AsyncIterator[ItemResult]:
        """Yield the outcomes there are, as ``Jobs.results``."""
        return self._jobs.results(self.id, ordered=ordered, after=after)

    async def cancel(self) -> bool:
        """Cancel what of it is not running."""
        return await self._jobs.cancel(self.id)
