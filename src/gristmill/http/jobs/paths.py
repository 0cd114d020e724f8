"""Which path of the durable queue has which endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Final, NamedTuple

from gristmill.http.asgi import Endpoint, Scope, Served
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.headers import wanted
from gristmill.http.jobs.call import Answer, ServedCall, answer_call
from gristmill.http.jobs.events import EventsEndpoint
from gristmill.http.jobs.files import ServerFiles
from gristmill.http.jobs.queues import QueueRoutes
from gristmill.http.jobs.reading import JobContents
from gristmill.http.jobs.routes import JobRoutes
from gristmill.http.jobs.submit import Submitter, Way
from gristmill.http.problems import Reply, Statuses, StreamedReply
from gristmill.http.settings import HttpLimits
from gristmill.http.watch import Receive
from gristmill.queue.service import Jobs
from gristmill.telemetry.requests import RequestCounter

HEAD: Final = frozenset(("job", "jobs", "queues", "dead"))
"""Routes that answer HEAD as well."""


class Path(NamedTuple):
    """One route: its method, its path below the prefix, its name, and what its query may have."""

    method: str
    path: str
    name: str
    parameters: frozenset[str] = frozenset()

    @property
    def depth(self) -> int:
        """How many parts its path has."""
        return self.path.count("/")


PATHS: Final[Sequence[Path]] = (
    Path("GET", "/jobs", "jobs", frozenset(("handler", "state", "cursor", "limit"))),
    Path("GET", "/jobs/{job}", "job"),
    Path("DELETE", "/jobs/{job}", "delete"),
    Path("GET", "/jobs/{job}/results", "results", frozenset(("ordered", "after", "status"))),
    Path("GET", "/jobs/{job}/unprocessed", "unprocessed"),
    Path("GET", "/jobs/{job}/events", "events"),
    Path("POST", "/jobs/{job}/cancel", "cancel"),
    Path("POST", "/jobs/{job}/retry", "retry"),
    Path("GET", "/queues", "queues"),
    Path("POST", "/queues/{name}/pause", "pause"),
    Path("POST", "/queues/{name}/resume", "resume"),
    Path("GET", "/dead", "dead", frozenset(("handler", "job", "code"))),
    Path("POST", "/dead/redrive", "redrive"),
)
"""The routes that belong to no handler."""


class JobDesk:
    """What all routes of the durable queue share.

    Args:
        jobs: The queue.
        limits: What one request may cost.
        statuses: Which code has which status.
        drain: Whether new requests are taken.
        counter: Counts the replies.
        files: Those of the server that may become jobs.
    """

    def __init__(
        self,
        jobs: Jobs,
        limits: HttpLimits,
        statuses: Statuses,
        drain: Drain,
        *,
        counter: RequestCounter,
        files: ServerFiles | None = None,
    ) -> None:
        self.jobs = jobs
        self._files = ServerFiles() if files is None else files
        self._counter = counter
        self._idle_timeout = limits.idle_timeout
        routes, queues = JobRoutes(jobs, limits, drain), QueueRoutes(jobs, limits, drain)
        contents = JobContents(jobs, statuses)
        self._refuses_others = True
        self._answers: Mapping[str, Answer] = {
            "jobs": routes.list,
            "job": routes.show,
            "delete": routes.delete,
            "cancel": routes.cancel,
            "retry": routes.retry,
            "results": contents.results,
            "unprocessed": contents.unprocessed,
            "events": EventsEndpoint(jobs, drain),
            "queues": queues.list,
            "pause": queues.pause,
            "resume": queues.resume,
            "dead": queues.dead,
            "redrive": queues.redrive,
        }

    def served(self, path: Path) -> Served:
        """Return the application of one of ``PATHS``."""
        return self._call(self._answers[path.name], "", path.name, path.depth, path.parameters)

    def submitting(self, bench: Bench) -> Served:
        """Return the application of ``POST .../jobs`` of a handler."""
        submitter = Submitter(bench, self.jobs, Way.JOBS, self._files)
        return self._call(submitter, bench.handler.name, "submit", 2, Way.JOBS.parameters)

    def _call(self, answer: Answer, handler: str, route: str, depth: int, known: frozenset[str]) -> Served:
        return ServedCall(
            answer,
            self._counter,
            handler,
            route,
            depth=depth,
            known=self._known(known),
            idle_timeout=self._idle_timeout,
        )

    def _known(self, parameters: frozenset[str]) -> frozenset[str] | None:
        return parameters if self._refuses_others else None

    def within_another(self) -> JobDesk:
        """Return the same for routes of another application: its dependencies may read other parameters."""
        found = copy(self)
        found._refuses_others = False  # noqa: SLF001 - its own
        return found

    def preferring(self, endpoint: Endpoint, bench: Bench, route: str, way: Way, depth: int) -> Served:
        """Return the application of *endpoint*, which makes jobs of those who prefer that."""
        submitter = Submitter(bench, self.jobs, way, self._files)
        known = self._known(way.parameters)
        return _Preferring(endpoint, submitter, self._counter, bench, route=route, depth=depth, known=known)

    def paths(self, prefix: str) -> dict[str, dict[str, Served]]:
        """Return path -> method -> application of the routes that belong to no handler."""
        found: dict[str, dict[str, Served]] = {}
        for path in PATHS:
            methods = found.setdefault(prefix + path.path, {})
            methods[path.method] = served = self.served(path)
            if path.name in HEAD:
                methods["HEAD"] = served
        return found


class _Preferring(Served):
    """A synchronous route that may also answer 202."""

    __slots__ = ("_depth", "_known", "_submitter")

    def __init__(
        self,
        endpoint: Endpoint,
        submitter: Submitter,
        counter: RequestCounter,
        bench: Bench,
        *,
        route: str,
        depth: int,
        known: frozenset[str] | None,
    ) -> None:
        super().__init__(endpoint, counter, bench.handler.name, route, bench.limits.idle_timeout)
        self._submitter = submitter
        self._depth = depth
        self._known = known

    async def _ask(self, scope: Scope, receive: Receive) -> Reply | StreamedReply | None:
        for name, value in scope["headers"]:
            if name == b"prefer" and wanted(value).respond_async:
                return await answer_call(self._submitter, scope, receive, self._depth, self._known)
        return await super()._ask(scope, receive)
