"""The client for programs without an event loop: a thin face on the one that has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, overload

from gristmill.client.client import Client
from gristmill.client.description import Description
from gristmill.client.handler_options import HandlerOptions
from gristmill.client.jobs.enqueuing import JobOptions
from gristmill.client.jobs.remote_job import JobResult, RemoteJob
from gristmill.client.off_the_loop import off_the_loop
from gristmill.client.portal import Portal
from gristmill.client.remote_handler import RemoteHandler
from gristmill.client.sync_calls import SyncCalls
from gristmill.model.job import JobState
from gristmill.wire import JobReply

T = TypeVar("T")
R = TypeVar("R")


class SyncClient:
    """``Client`` for synchronous code; calls of several threads meet in batches.

    ::

        with SyncClient("http://127.0.0.1:8000") as client:
            users = client.handler("users")
            user = users({"name": "Ada"})

    It works on an event loop in a thread of its own, which all clients share.

    Args:
        url: As for ``Client``.
        options: As for ``Client``.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client = Client(url, **options)
        self._portal = Portal()

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<SyncClient {self._client.url}>"

    @overload
    def handler(
        self, name: str, *, item: type[T], result: type[R], **options: Unpack[HandlerOptions]
    ) -> SyncHandler[T, R]: ...
    @overload
    def handler(
        self, name: str, *, item: type[T], **options: Unpack[HandlerOptions]
    ) -> SyncHandler[T, Any]: ...
    @overload
    def handler(
        self, name: str, *, result: type[R], **options: Unpack[HandlerOptions]
    ) -> SyncHandler[Any, R]: ...
    @overload
    def handler(self, name: str, **options: Unpack[HandlerOptions]) -> SyncHandler[Any, Any]: ...

    def handler(
        self, name: str, *, item: Any = Any, result: Any = Any, **options: Unpack[HandlerOptions]
    ) -> SyncHandler[Any, Any]:
        """Return the handler *name*, as ``Client.handler`` does."""
        made = self._client.handler(name, item=item, result=result, **options)
        return SyncHandler(made, self._portal)

    def job(self, job: str, *, result: Any = Any) -> SyncJob[Any]:
        """Return the job of that id; raises ``JobNotFound`` if there is none."""
        return SyncJob(self._portal.run(self._client.jobs.get(job, result=result)), self._portal)

    def jobs(
        self, *, handler: str | None = None, state: JobState | str | None = None
    ) -> Iterator[SyncJob[Any]]:
        """Yield the jobs there are, newest first, as ``Client.jobs.list`` does."""
        for job in self._portal.iterate(self._client.jobs.list(handler=handler, state=state)):
            yield SyncJob(job, self._portal)

    def close(self, *, drain: bool = True) -> None:
        """Close the client: what waits is answered first, unless *drain* is false. Idempotent."""
        self._portal.run(self._client.aclose(drain=drain))

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it: after an exception without waiting for what is on its way."""
        self.close(drain=kind is None)


class SyncHandler(SyncCalls[T, R]):
    """``RemoteHandler`` for synchronous code; made by ``SyncClient.handler``."""

    def __init__(self, handler: RemoteHandler[T, R], portal: Portal) -> None:
        super().__init__(handler, portal)
        self._handler = handler

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<SyncHandler {self._handler.url}>"

    def describe(self) -> Description:
        """Return what the server tells of the handler: its limits and schemas."""
        return self._portal.run(self._handler.describe())

    def enqueue(
        self, items: Iterable[T], *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> SyncJob[R]:
        """Store *items* as one job, as ``RemoteHandler.enqueue`` does.

        What is not a list is read in a thread of its own, so it may wait for a file or a database.
        """
        source = items if isinstance(items, Sequence) else off_the_loop(items)
        work = self._handler.enqueue(source, idempotency_key=idempotency_key, **options)
        return SyncJob(self._portal.run(work), self._portal)

    def enqueue_file(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        compress: bool = False,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> SyncJob[R]:
        """Store the rows of a file as one job, as ``RemoteHandler.enqueue_file`` does."""
        work = self._handler.enqueue_file(
            path, format=format, compress=compress, idempotency_key=idempotency_key, **options
        )
        return SyncJob(self._portal.run(work), self._portal)


class SyncJob(Generic[R]):
    """``RemoteJob`` for synchronous code.

    Attributes:
        id: Its id.
    """

    def __init__(self, job: RemoteJob[R], portal: Portal) -> None:
        self.id = job.id
        self._job = job
        self._portal = portal

    def __repr__(self) -> str:
        """Show how it stood."""
        return f"<SyncJob {self.id} {self._job.last.state}>"

    def status(self) -> JobReply:
        """Return how it stands."""
        return self._portal.run(self._job.status())

    def wait(self, timeout: float | None = None) -> JobReply:
        """Return how it stands once it is final, as ``RemoteJob.wait`` does."""
        return self._portal.run(self._job.wait(timeout))

    def events(self) -> Iterator[JobReply]:
        """Yield how it stands whenever that changes, the end included."""
        return self._portal.iterate(self._job.events())

    def results(
        self,
        *,
        status: Literal["succeeded", "failed", "cancelled"] | None = None,
        after: str | None = None,
        ordered: bool = False,
    ) -> Iterator[JobResult[R]]:
        """Yield the outcomes there are, as ``RemoteJob.results`` does."""
        return self._portal.iterate(self._job.results(status=status, after=after, ordered=ordered))

    def unprocessed(self) -> Iterator[Any]:
        """Yield the items that no batch has taken, as they were sent."""
        return self._portal.iterate(self._job.unprocessed())

    def cancel(self, items: list[int] | None = None) -> JobReply:
        """Cancel it, or some of its *items* by their places."""
        return self._portal.run(self._job.cancel(items))

    def retry(self) -> JobReply:
        """Run its failed items again."""
        return self._portal.run(self._job.retry())

    def delete(self) -> None:
        """Delete it, its results and dead items."""
        self._portal.run(self._job.delete())
