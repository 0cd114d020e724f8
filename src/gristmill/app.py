"""The composition root: handlers and settings in, an ASGI application out."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError
from gristmill.http.asgi import Scope, Send
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.endpoints import HotEndpoint, HotEndpoints
from gristmill.http.jobs.files import ServerFiles
from gristmill.http.jobs.paths import JobDesk
from gristmill.http.openapi import openapi_document
from gristmill.http.problems import Statuses
from gristmill.http.replays import Replays
from gristmill.http.routes import RESERVED, docs_paths, handler_paths, service_paths, starlette_app
from gristmill.http.service import FixedEndpoint, document_reply
from gristmill.http.settings import HttpLimits
from gristmill.http.watch import Receive
from gristmill.model.pool import Pooled, told_apart
from gristmill.queue.enqueue_options import EnqueueOptions
from gristmill.queue.intake import Source
from gristmill.queue.job_ref import JobRef
from gristmill.queue.options import QueueOptions
from gristmill.queue.schedule import Schedule
from gristmill.queue.service import Jobs
from gristmill.queue.store import Store
from gristmill.telemetry.requests import RequestCounter

if TYPE_CHECKING:
    from fastapi import APIRouter  # an optional extra

    from gristmill.http.shortcut import ShortcutProtocol

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class App:
    """An ASGI application that serves batch handlers.

    Run it with ``gristmill serve module:app``, or any ASGI server. Each
    handler has ``POST /v1/{name}`` for one item, ``.../batch`` and
    ``.../stream`` for many, ``.../jobs`` for the durable queue, and
    ``GET /v1/{name}`` to describe itself. ``/v1/jobs``, ``/v1/queues`` and
    ``/v1/dead`` say what became of jobs; a store that is away when it starts is
    waited for. Beside them: ``/livez``, ``/readyz``, ``/metrics``, ``/openapi.json`` and ``/docs``.

    At SIGTERM or SIGINT the items that wait are answered at once and new
    requests are refused; the handlers are closed with the application.

    Args:
        handlers: What ``@batch`` made; different names of letters, digits, ``_``
            and ``-``.
        store: Where the durable queue is: ``sqlite:///file``, ``postgresql://...``,
            ``redis://...``, ``memory://``, or a store. An SQLite file is made by
            the first job. None serves no jobs.
        queues: name -> how a handler's queue is worked.
        schedules: What is enqueued by the clock.
        worker: Whether to work the queues in this process while it serves.
        title: The name of the API in its documents.
        version: The version of the API in its documents.
        description: CommonMark text for the top of the documents.
        prefix: Stands before every handler's name: ``""`` or ``"/..."``.
        limits: What one request may cost.
        statuses: code -> HTTP status of the ``Failed`` codes of the handlers, 400
            to 599; others are 422, or 503 if retryable.
        docs: Whether to serve ``/docs`` and ``/openapi.json``.
        metrics: Whether to serve ``/metrics``.
        pools: What ``/metrics`` shows of connections to databases: a ``Pool``, a ``BulkWriter`` or a
            ``BulkLoader``, each of another name. They stay open when the application ends.
        files: The folder whose files may become jobs by their path, as ``serve_files`` says. None: no file.

    Raises:
        ConfigurationError: Something of this cannot work; the message says what to do.
    """

    def __init__(
        self,
        handlers: Sequence[BatchHandler[Any, Any]],
        *,
        store: str | Store | None = "sqlite:///gristmill.db",
        queues: Mapping[str, QueueOptions] | None = None,
        schedules: Sequence[Schedule] = (),
        worker: bool = True,
        title: str = "Gristmill",
        version: str = "0.1.0",
        description: str = "",
        prefix: str = "/v1",
        limits: HttpLimits | None = None,
        statuses: Mapping[str, int] | None = None,
        docs: bool = True,
        metrics: bool = True,
        pools: Sequence[Pooled] = (),
        files: str | os.PathLike[str] | None = None,
    ) -> None:
        self._handlers = _checked(handlers)
        self.prefix = _checked_prefix(prefix)
        self.limits = HttpLimits() if limits is None else limits
        self.docs = docs
        self._jobs = _jobs_of(self._handlers, store, queues, schedules)
        self.works = worker
        self._files = ServerFiles()
        if files is not None:
            self.serve_files(files)
        self._drain = Drain(self._handlers, self._open_jobs, self._close_jobs)
        self._counter = RequestCounter({handler.name for handler in self._handlers})
        table = Statuses(statuses)
        replays = Replays(self.limits)
        self._benches = [
            Bench(handler, self.limits, table, self._drain, replays) for handler in self._handlers
        ]
        self._desk = (
            None
            if self._jobs is None
            else JobDesk(
                self._jobs, self.limits, table, self._drain, counter=self._counter, files=self._files
            )
        )
        paths = service_paths(
            self._handlers,
            self._drain,
            self._counter,
            self._jobs,
            metrics=metrics,
            pools=told_apart(pools),
        )
        if self._desk is not None:
            paths |= self._desk.paths(self.prefix)
        self._hot: dict[bytes, HotEndpoint] = {}
        for bench in self._benches:
            path = f"{self.prefix}/{bench.handler.name}"
            hot = HotEndpoints(bench)
            self._hot |= {path.encode(): hot.single, f"{path}/batch".encode(): hot.batch}
            own = handler_paths(bench, hot, path, self._counter, self._desk)
            if not own.keys().isdisjoint(paths):
                raise ConfigurationError(
                    f"the name {bench.handler.name!r} is a route of every App; give another"
                )
            paths |= own
        # Posts go past the router: a look into a dict instead of a walk over every route.
        exact = {path: methods for path, methods in paths.items() if "{" not in path}
        self._posts = {path: methods["POST"] for path, methods in exact.items() if "POST" in methods}

        def document() -> Any:
            return openapi_document(
                self._handlers,
                title=title,
                version=version,
                description=description,
                prefix=self.prefix,
                limits=self.limits,
                metrics=metrics,
                jobs=self._jobs is not None,
            )

        pages = docs_paths(FixedEndpoint(lambda: document_reply(document())), self._counter) if docs else {}
        self._inner_paths = {"/metrics", *pages}
        self._paths = paths | pages
        self._routed = starlette_app(self._paths, self.prefix, self._drain, self._counter)

    @property
    def handlers(self) -> tuple[BatchHandler[Any, Any], ...]:
        """The handlers, in the order given."""
        return self._handlers

    def hide_inner_pages(self) -> None:
        """Serve ``/metrics``, ``/docs`` and ``/openapi.json`` no longer: others can reach the address."""
        self.docs = False
        shown = {path: methods for path, methods in self._paths.items() if path not in self._inner_paths}
        self._routed = starlette_app(shown, self.prefix, self._drain, self._counter)

    def serve_files(self, folder: str | os.PathLike[str]) -> None:
        """Let callers make jobs of the files of *folder*: ``POST /v1/{name}/jobs?path=in/people.csv``.

        Every regular file in it that the process may read, also in folders below, is open to whoever may post
        jobs. Names that begin with a dot are not, and no symbolic link is followed.

        Raises:
            ConfigurationError: It is no folder, there is no durable queue, or this system cannot open files
                inside of a folder.
        """
        if self._jobs is None:
            raise ConfigurationError("files become jobs, so files= needs a store")
        self._files.serve(folder)

    @property
    def jobs(self) -> Jobs:
        """The durable queue.

        Raises:
            ConfigurationError: There is none: ``store=None``.
        """
        if self._jobs is None:
            raise ConfigurationError(
                'this App has no store; give one: App(..., store="sqlite:///gristmill.db")'
            )
        return self._jobs

    @property
    def store_url(self) -> str | None:
        """Where the durable queue is, without the password; None if there is none."""
        return None if self._jobs is None else self._jobs.url

    @overload
    async def enqueue(
        self,
        handler: BatchHandler[T, Any],
        items: Iterable[T] | AsyncIterable[T],
        **options: Unpack[EnqueueOptions],
    ) -> JobRef: ...
    @overload
    async def enqueue(self, handler: str, items: Source, **options: Unpack[EnqueueOptions]) -> JobRef: ...

    async def enqueue(
        self, handler: BatchHandler[Any, Any] | str, items: Source, **options: Unpack[EnqueueOptions]
    ) -> JobRef:
        """Store *items* as one job of the durable queue; ``Jobs.enqueue`` tells the options."""
        return await self.jobs.enqueue(handler, items, **options)

    async def _open_jobs(self) -> None:
        """Work the queues while the application serves; a file that is not there yet when it is."""
        if self._jobs is not None and self.works:
            await self._jobs.start_when_needed()

    async def _close_jobs(self) -> None:
        if self._jobs is not None:
            await self._jobs.stop()

    def router(
        self,
        *,
        prefix: str | None = None,
        tags: Sequence[str | Enum] | None = None,
        dependencies: Sequence[Any] | None = None,
    ) -> APIRouter:
        """Return the routes of the handlers as a FastAPI router, for ``include_router``.

        They are FastAPI's own routes: dependencies run, prefixes add up, and
        they are in its documents. Problems stay problems; the application's
        exception handlers are not touched. Its lifespan drains and closes the
        handlers. The routes for operators and the docs page are not part of it.

        Args:
            prefix: Of the router; that of this App by default.
            tags: For the documents; each handler's name by default.
            dependencies: ``Depends(...)`` to run before each route.

        Raises:
            ModuleNotFoundError: FastAPI is not installed.
        """
        from gristmill.http.router import fastapi_router  # noqa: PLC0415 - an optional extra

        return fastapi_router(
            self._benches,
            self._drain,
            self._counter,
            self._desk,
            prefix=self.prefix if prefix is None else prefix,
            tags=tags,
            dependencies=dependencies,
        )

    def shortcut(self) -> type[ShortcutProtocol]:
        """Return uvicorn's HTTP protocol with a shortcut to this application's items and batches.

        For ``uvicorn.Config(app, http=app.shortcut())``, which ``gristmill serve``
        uses: the same answers for less CPU. Only where *app* is served as it
        is, with no middleware around it and no ``root_path``.
        """
        from gristmill.http.shortcut import shortcut_protocol  # noqa: PLC0415 - only some servers need uvicorn

        return shortcut_protocol(self._hot, self._counter)

    def drain(self) -> None:
        """Answer what waits and refuse new requests, on the running loop, as at SIGTERM."""
        self._drain.begin()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "POST":
            root: str = scope.get("root_path", "")
            path: str = scope["path"]
            served = self._posts.get(path.removeprefix(root) if root else path)
            if served is not None:
                await served(scope, receive, send)
                return
        await self._routed(scope, receive, send)


def _jobs_of(
    handlers: Sequence[BatchHandler[Any, Any]],
    store: str | Store | None,
    queues: Mapping[str, QueueOptions] | None,
    schedules: Sequence[Schedule],
) -> Jobs | None:
    if store is not None:
        return Jobs(handlers, store, options=queues, schedules=schedules)
    if queues or schedules:
        raise ConfigurationError("queues and schedules need a store")
    return None


def _checked(handlers: Sequence[BatchHandler[Any, Any]]) -> tuple[BatchHandler[Any, Any], ...]:
    if isinstance(handlers, BatchHandler) or not isinstance(handlers, Sequence):
        raise ConfigurationError("App takes a list of batch handlers: App(handlers=[create_users])")
    names: set[str] = set()
    for handler in handlers:
        if not isinstance(handler, BatchHandler):
            raise ConfigurationError(f"App takes batch handlers, not {handler!r}; decorate it with @batch")
        if _NAME.fullmatch(handler.name) is None:
            raise ConfigurationError(
                f"the name {handler.name!r} cannot stand in a path; give one of letters, digits, _ and -: "
                '@batch(name="...")'
            )
        if handler.name in RESERVED:
            raise ConfigurationError(f"the name {handler.name!r} is reserved; give another: @batch(name=...)")
        if handler.name in names:
            raise ConfigurationError(f"two handlers are named {handler.name!r}; rename one: @batch(name=...)")
        names.add(handler.name)
    return tuple(handlers)


def _checked_prefix(prefix: str) -> str:
    if _PREFIX.fullmatch(prefix) is None:
        raise ConfigurationError(f'prefix is "" or like "/v1", without a slash at its end, not {prefix!r}')
    return prefix
