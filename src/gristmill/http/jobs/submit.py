"""``POST /v1/{name}/jobs``, and the other ways in under ``Prefer: respond-async``: 202 after the commit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from gristmill.errors import QueueError, StoreError
from gristmill.http.batch_request import Ids
from gristmill.http.bench import Bench
from gristmill.http.headers import CSV, JSON, NDJSON, TSV, Form, Wanted, form_of
from gristmill.http.idempotency import held_under, idempotency_key
from gristmill.http.jobs.body import Incoming, Spool
from gristmill.http.jobs.call import Call, problem_of
from gristmill.http.jobs.checking import Entries
from gristmill.http.jobs.csv_rows import CsvOptions, RowCodec, csv_options
from gristmill.http.jobs.file_body import FileBody
from gristmill.http.jobs.files import ServerFiles, form_of_file
from gristmill.http.jobs.items import from_json, one_item, reading, streamed
from gristmill.http.jobs.query import Query, invalid_option
from gristmill.http.jobs.shown import job_reply, path_of, shown
from gristmill.http.jobs.watching import Watching
from gristmill.http.problems import CLOSE, Reply, problem_reply
from gristmill.model.job import DEFAULT_PRIORITY, LATEST, URGENT, Job, NewJob, ids_to_json
from gristmill.queue.ids import JobIds
from gristmill.queue.job_ref import JobRef
from gristmill.queue.service import Jobs

_MAKING: Final = frozenset(("priority", "delay", "run_at", "key", "keep_results"))
_READING: Final = frozenset(("path", "format", "delimiter", "quoting", "encoding", "on_duplicate"))


class Way(Enum):
    """The route a job comes in by, and the media types that takes."""

    JOBS = (JSON, NDJSON, CSV, TSV)
    BATCH = (JSON, NDJSON)
    SINGLE = (JSON,)

    @property
    def parameters(self) -> frozenset[str]:
        """What the query may have."""
        return _MAKING | _READING if self is Way.JOBS else _MAKING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a request asks for, but for its body.

    Attributes:
        form: How the body is written.
        path: Of the file that is the body, in the folder of the server; None: it is sent.
        csv: How CSV is written.
        new: The job, without its unique key.
        preferred: What ``Prefer`` asks for.
        ordering: The ordering key of all items.
        key: The Idempotency-Key.
    """

    form: Form
    path: str | None
    csv: CsvOptions | None
    new: NewJob
    preferred: Wanted
    ordering: str | None
    key: str | None


class Submitter:
    """Takes the jobs of one handler in.

    Args:
        bench: Of the handler.
        jobs: Where they go.
        way: The route.
        files: Those of the server, for jobs that name one.
    """

    def __init__(self, bench: Bench, jobs: Jobs, way: Way, files: ServerFiles) -> None:
        self._bench = bench
        self._jobs = jobs
        self._way = way
        self._files = files
        self._rows = RowCodec(bench.items)
        self._ids = JobIds()

    async def __call__(self, call: Call) -> Reply:
        """Answer one request.

        Raises:
            ClientGone: The caller hung up: while it sent, nothing was stored.
        """
        self._bench.drain.refuse()
        wish = self._wish(call)
        limits = self._bench.limits
        most = limits.item_bytes if self._way is Way.SINGLE else limits.batch_bytes
        limit = most if wish.form is Form.JSON or wish.path is not None else limits.job_bytes
        incoming = Incoming(call.headers, call.receive, limits, limit, self._bench.drain)
        if wish.path is not None and await incoming.whole():
            raise invalid_option("path", "given without a body: the file is the body")
        try:
            ref = await self._stored(incoming, wish)
        except (StoreError, QueueError) as error:
            return problem_reply(problem_of(error), () if incoming.is_whole else (CLOSE,))
        return await self._answer(call, ref, wish.preferred)

    def _wish(self, call: Call) -> _Wish:
        path = call.query.raw("path") if self._way is Way.JOBS else None
        if path is None:
            form = form_of(call.headers.get(b"content-type"), self._way.value)
        else:
            self._files.check(path)
            form = form_of_file(path, call.query.raw("format"))
        delimiter = {Form.CSV: ",", Form.TSV: "\t"}.get(form)
        return _Wish(
            form=form,
            path=path,
            csv=None if delimiter is None else csv_options(call.query, delimiter),
            new=new_job(self._bench.handler.name, call.query, self._ids.new()),
            preferred=call.preferred,
            ordering=call.query.text("key"),
            key=idempotency_key(call.headers.get(b"idempotency-key")),
        )

    async def _stored(self, incoming: Incoming, wish: _Wish) -> JobRef:
        """Store the job; with an Idempotency-Key its body is read to the end before the first item is."""
        async with AsyncExitStack() as stack:
            fingerprint, new = "", wish.new
            strict = wish.preferred.strict
            if wish.form is Form.JSON:
                body = await incoming.whole()
                fingerprint = hashlib.sha256(body).hexdigest()
                entries, ids = self._entries(body, strict=strict)
                new = replace(new, ids=None if ids is None else ids_to_json(ids))
                source = _at_once(entries)
            else:
                pieces = await self._pieces(incoming, wish, stack)
                await stack.enter_async_context(aclosing(pieces))
                if wish.key is not None:
                    spool = stack.enter_context(Spool())
                    await spool.fill(pieces)
                    fingerprint, pieces = spool.fingerprint, spool.pieces()
                    await stack.enter_async_context(aclosing(pieces))
                read = reading(wish.form, self._bench, self._rows, strict=strict, options=wish.csv)
                source = streamed(pieces, read)
            await stack.enter_async_context(aclosing(source))
            if wish.key is not None:
                new = replace(new, unique=held_under(wish.key, fingerprint))
            return await self._jobs.receive(new, source, key=wish.ordering)

    async def _pieces(
        self, incoming: Incoming, wish: _Wish, stack: AsyncExitStack
    ) -> AsyncGenerator[bytes, None]:
        if wish.path is None:
            return incoming.pieces()
        file = FileBody(self._files, wish.path, self._bench.limits)
        return (await stack.enter_async_context(file)).pieces(self._bench.drain)

    def _entries(self, body: bytearray, *, strict: bool) -> tuple[Entries, Ids | None]:
        if self._way is Way.SINGLE:
            return one_item(body, self._bench), None
        return from_json(body, self._bench, strict=strict)

    async def _answer(self, call: Call, ref: JobRef, preferred: Wanted) -> Reply:
        job = await self._jobs.get(ref.id)
        if preferred.wait is not None:
            seconds = min(preferred.wait, self._bench.limits.longest_wait)
            job = await Watching(self._jobs, self._bench.drain, call.receive).final(job.id, seconds)
        is_done = preferred.wait is not None and job.state.is_final
        headers: Sequence[tuple[bytes, bytes]] = [
            (b"location", path_of(call.base, job.id).encode()),
            *preferred.applied_to_job(),
            *([] if ref.created else [(b"idempotent-replayed", b"true")]),
        ]
        return self._reply(200 if is_done else 202, call, job, headers)

    def _reply(self, status: int, call: Call, job: Job, headers: Sequence[tuple[bytes, bytes]]) -> Reply:
        body = shown(job, call.base, self._jobs.retention)
        body.durability = self._jobs.store.durability
        return job_reply(status, body, job, time.time(), *headers)


async def _at_once(entries: Entries) -> AsyncGenerator[Entries, None]:
    yield entries


def new_job(handler: str, query: Query, id: str) -> NewJob:
    """Return the job that the parameters ask for, without items.

    Raises:
        Refused: ``invalid_option``.
    """
    delay, run_at = query.seconds("delay"), query.moment("run_at")
    if delay and run_at is not None:
        raise invalid_option("delay", "not given beside run_at")
    return NewJob(
        id=id,
        queue=handler,
        priority=query.whole("priority", URGENT, LATEST, DEFAULT_PRIORITY),
        delay=delay,
        run_at=run_at,
        keep_results=query.truth("keep_results", default=True),
    )
