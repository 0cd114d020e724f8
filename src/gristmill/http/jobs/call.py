"""One request of the job routes, and the frame around each of their answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from gristmill.errors import (
    GristmillError,
    InvalidItem,
    ItemNotFound,
    JobNotFound,
    QueueError,
    StoreError,
    UniqueConflict,
    UnknownHandler,
    UploadAbandoned,
    UploadInFlight,
)
from gristmill.http.asgi import Scope, Served
from gristmill.http.body import ClientGone
from gristmill.http.headers import Wanted, read_headers, wanted
from gristmill.http.jobs.query import Query
from gristmill.http.problems import KINDS, Refused, Reply, StreamedReply, new_instance, problem, problem_reply
from gristmill.http.watch import Receive
from gristmill.queue.ids import is_job_id
from gristmill.telemetry.requests import RequestCounter
from gristmill.wire import Complaint, Problem

_LOG = logging.getLogger("gristmill.http")
_UNAVAILABLE = 503
_SHOWN = 100  # characters of what is no id


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        headers: By name.
        receive: Gives the body.
        query: The parameters.
        params: What the path's open parts are.
        base: The path below which all routes of the App are, percent-encoded.
    """

    headers: Mapping[bytes, bytes]
    receive: Receive
    query: Query
    params: Mapping[str, str]
    base: str

    @property
    def preferred(self) -> Wanted:
        """What ``Prefer`` asks for."""
        return wanted(self.headers.get(b"prefer"))

    @property
    def job(self) -> str:
        """The job that the path names; raises ``Refused`` if it can be none, before any store is asked."""
        found = self.params["job"]
        if not is_job_id(found):
            raise Refused(problem("not_found", detail=f"there is no job {found[:_SHOWN]!r}"))
        return found


Answer: TypeAlias = Callable[[Call], Awaitable[Reply | StreamedReply | None]]


class ServedCall(Served):
    """A route of jobs as an ASGI application.

    Args:
        answer: Makes the replies; what it raises of ours becomes a problem.
        counter: Counts them.
        handler: The handler's name, or empty: a label of the count.
        route: The other label.
        depth: How many parts of the path are the route's own, behind ``base``.
        known: The parameters it takes; None ignores others.
        idle_timeout: Seconds a caller may leave a streamed reply unread.
    """

    __slots__ = ("_answer", "_depth", "_known")

    def __init__(
        self,
        answer: Answer,
        counter: RequestCounter,
        handler: str,
        route: str,
        *,
        depth: int,
        known: Collection[str] | None = None,
        idle_timeout: float = 60.0,
    ) -> None:
        super().__init__(_never, counter, handler, route, idle_timeout)
        self._answer = answer
        self._depth = depth
        self._known = known

    async def _ask(self, scope: Scope, receive: Receive) -> Reply | StreamedReply | None:
        return await answer_call(self._answer, scope, receive, self._depth, self._known)


async def answer_call(
    answer: Answer, scope: Scope, receive: Receive, depth: int, known: Collection[str] | None = None
) -> Reply | StreamedReply | None:
    """Return what *answer* says to a request, refusals as problems; ``ServedCall`` tells the arguments."""
    base = quote(scope["path"].rsplit("/", depth)[0])
    try:
        query = Query(scope.get("query_string", b""), known)
        headers = read_headers(scope["headers"])
        return await answer(Call(headers, receive, query, scope.get("path_params", {}), base))
    except Refused as refused:
        return problem_reply(refused.problem, refused.headers)
    except ClientGone:
        return None
    except (QueueError, StoreError) as error:
        return problem_reply(problem_of(error))


def problem_of(error: GristmillError) -> Problem:
    """Return what the caller is told of an *error* of the queue or its store.

    Texts of stores may hold addresses: they go to the log.
    """
    if isinstance(error, UploadInFlight | UploadAbandoned):
        return problem(error.code, retryable=True, retry_after_s=1)
    if isinstance(error, UniqueConflict):
        return problem("idempotency_key_reused")
    if isinstance(error, InvalidItem):
        at = Complaint(f"#/{error.index}", "not an item of this handler")
        return problem("invalid_item", errors=[at])
    if isinstance(error, StoreError):
        found = problem(error.code if error.code in KINDS else "store_error", retryable=error.retryable)
        found.instance = new_instance()
        if found.status == _UNAVAILABLE:
            found.retry_after_s = 2
        _LOG.warning("the store: %s (%s)", error, found.instance, extra={"instance": found.instance})
        return found
    if isinstance(error, JobNotFound | ItemNotFound | UnknownHandler):
        return problem("not_found", detail=str(error))
    code = getattr(error, "code", "")
    return problem(code if code in KINDS else "not_found")


async def _never(*_: object) -> None:
    raise NotImplementedError
