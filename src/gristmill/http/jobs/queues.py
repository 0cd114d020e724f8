"""The routes of queues as a whole: how they stand, pause and resume, and their dead items."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gristmill.http.describe import json_reply
from gristmill.http.drain import Drain
from gristmill.http.jobs.call import Call
from gristmill.http.jobs.query import Query, check_text, invalid_option, moment_of
from gristmill.http.jobs.shown import at
from gristmill.http.jobs.small_body import read_options
from gristmill.http.problems import NO_STORE, Reply
from gristmill.http.settings import HttpLimits
from gristmill.queue.service import Jobs
from gristmill.wire import DeadReply, QueueReply

_ENCODER = msgspec.json.Encoder()


class RedriveOptions(Struct, forbid_unknown_fields=True):
    """The body of a redrive: which dead items; members that are missing match all, but one must be there."""

    handler: str | None = None
    job: str | None = None
    code: str | None = None
    before: float | str | None = None
    all: bool = False

    def check(self) -> None:
        """Refuse a body that does not say which: an empty one may have been meant to have more in it."""
        is_filter = any(each is not None for each in (self.handler, self.job, self.code, self.before))
        if self.all and is_filter:
            raise invalid_option("all", "not given beside handler, job, code or before")
        if not self.all and not is_filter:
            raise invalid_option("all", "true, where none of handler, job, code and before is given")
        for name in ("handler", "job", "code"):
            check_text(name, getattr(self, name))


class QueueRoutes:
    """What may be asked of queues.

    Args:
        jobs: Where they are.
        limits: What one request may cost.
        drain: Cuts bodies short.
    """

    def __init__(self, jobs: Jobs, limits: HttpLimits, drain: Drain) -> None:
        self._jobs = jobs
        self._limits = limits
        self._drain = drain

    async def list(self, call: Call) -> Reply:  # noqa: ARG002 - one of many
        """``GET /v1/queues``."""
        found = [
            QueueReply(
                handler=each.name,
                is_paused=each.is_paused,
                ready=each.ready,
                scheduled=each.scheduled,
                blocked=each.blocked,
                running=each.running,
                dead=each.dead,
                oldest_age_s=each.oldest_age,
            )
            for each in await self._jobs.queues()
        ]
        return _told(200, queues=found)

    async def pause(self, call: Call) -> Reply:
        """``POST /v1/queues/{name}/pause``: on every machine, until it is resumed."""
        await self._jobs.pause(call.params["name"])
        return Reply(204, (), b"")

    async def resume(self, call: Call) -> Reply:
        """``POST /v1/queues/{name}/resume``."""
        await self._jobs.resume(call.params["name"])
        return Reply(204, (), b"")

    async def dead(self, call: Call) -> Reply:
        """``GET /v1/dead``: by handler and code. What exceptions said is not told here."""
        query: Query = call.query
        groups = await self._jobs.dead(
            handler=query.text("handler"), job=query.text("job"), code=query.text("code")
        )
        found = [
            DeadReply(
                handler=group.queue,
                code=group.code,
                items=group.items,
                first_at=at(group.first_at),
                last_at=at(group.last_at),
            )
            for group in groups
        ]
        return _told(200, dead=found)

    async def redrive(self, call: Call) -> Reply:
        """``POST /v1/dead/redrive``: those that match, or all of them."""
        options = await read_options(call, RedriveOptions, self._limits, self._drain)
        options.check()
        before = None if options.before is None else moment_of(options.before, "before")
        redriven = await self._jobs.redrive(
            handler=options.handler, job=options.job, code=options.code, before=before
        )
        return _told(202, redriven=redriven)


def _told(status: int, **members: Any) -> Reply:
    return json_reply(status, _ENCODER.encode(members), NO_STORE)
