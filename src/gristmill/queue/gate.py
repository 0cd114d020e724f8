"""Where the claims of one queue wait while its circuit breaker is open, and where it says so in the log."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Sequence

from gristmill.errors import StoreError
from gristmill.model.job import JobState
from gristmill.model.lease import Claim
from gristmill.model.queue import BreakerState, BreakerStatus
from gristmill.model.settling import Answers, Policy
from gristmill.queue.breaker import Breaker, CircuitBreaker, has_succeeded, passing_failures
from gristmill.queue.store import Store
from gristmill.queue.suspects import Suspects

_LOG = logging.getLogger("gristmill.queue")


class Gate:
    """Lets a lane claim, by its circuit breaker.

    Args:
        queue: The queue's name, for the log.
        limits: Of the breaker; None lets everything through.
        policy: Which failures are tried again.
        chance: A new random number, 0 <= x < 1, at each call.
    """

    def __init__(
        self,
        queue: str,
        limits: Breaker | None,
        policy: Policy,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._breaker = None if limits is None else CircuitBreaker(limits, chance)
        self._opened_at = 0.0
        self._suspects = Suspects(policy.retry.attempts)
        self._changed = asyncio.Event()

    @property
    def status(self) -> BreakerStatus:
        """How the breaker stands; one that is not there is closed."""
        if self._breaker is None:
            return BreakerStatus(queue=self._queue, state=BreakerState.CLOSED, openings=0)
        return BreakerStatus(queue=self._queue, state=self._breaker.state, openings=self._breaker.openings)

    async def enter(self) -> None:
        """Wait until a batch may be claimed; harmless to cancel."""
        if self._breaker is None:
            return
        loop = asyncio.get_running_loop()
        while (seconds := self._breaker.delay(loop.time())) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def claimed(self) -> int:
        """Note that a batch was claimed; return its ticket, to be given back by ``leave``."""
        if self._breaker is None:
            return 0
        return self._breaker.claimed(asyncio.get_running_loop().time())

    def admits(self, ticket: int) -> bool:
        """Tell whether a batch that waited for its turn may still run."""
        return self._breaker is None or self._breaker.admits(ticket)

    def note(self, ticket: int, claim: Claim, answers: Sequence[Answers]) -> None:
        """Note what the handler said to the batch of *ticket*."""
        if self._breaker is None:
            return
        if has_succeeded(claim, answers):
            self._suspects.succeeded()
            if self._breaker.succeeded():
                self._say_closed()
            return
        failures = passing_failures(claim, answers, self._policy)
        first = next(failures, None)
        if first is None:
            return
        self._suspects.failed(claim)
        names = (name for name, _ in itertools.chain((first,), failures))
        was_closed = self._breaker.state is BreakerState.CLOSED
        now = asyncio.get_running_loop().time()
        seconds = self._breaker.failed(ticket, names, now)
        if seconds is not None:
            self._suspects.opened(claim)
            self._say_open(seconds, first[1], now, is_news=was_closed)

    async def look_around(self, store: Store) -> None:
        """Let the next batch be tried at once if other jobs wait behind one that alone fails.

        If that job is bad, and what the handler needs is there, they would wait for a cool-down for each of
        its batches. If not, this costs each of its items one attempt, and not the last: what has failed is
        due after those that wait, so one of them comes before it comes again. Otherwise nobody waits who
        would come, and the cool-downs are as always; they are, too, as soon as a second job fails.

        Args:
            store: Asked which jobs there are, when the breaker has just opened.
        """
        job = self._suspects.suspect
        if self._breaker is None or job is None:
            return
        try:
            do_others_wait = await _do_others_wait(store, self._queue, job)
        except StoreError:
            return
        if not do_others_wait or self._suspects.suspect != job:
            return
        is_news = self._suspects.spared(job)
        self._breaker.hasten(asyncio.get_running_loop().time())
        self._changed.set()
        if is_news:
            _LOG.warning(
                "all batches of %s that fail are of %s, and other jobs wait: it is tried on, one batch at a "
                "time; if it is bad, cancel it",
                self._queue,
                job,
                extra={"handler": self._queue},
            )

    def leave(self, ticket: int) -> None:
        """Note that the batch of *ticket* is over, whatever became of it."""
        if self._breaker is not None:
            self._breaker.ended(ticket)
            self._changed.set()

    def _say_open(self, seconds: float, code: str, now: float, *, is_news: bool) -> None:
        self._changed.set()
        if is_news:
            self._opened_at = now
            _LOG.warning(
                "all batches of %s fail, the last with %s: none is claimed for %.1f s, then one to see",
                self._queue,
                code,
                seconds,
                extra={"handler": self._queue},
            )
        else:
            _LOG.debug("a batch of %s that was tried failed with %s: %.1f s more", self._queue, code, seconds)

    def _say_closed(self) -> None:
        self._changed.set()
        _LOG.info(
            "a batch of %s succeeded: it is worked again, after %.1f s",
            self._queue,
            asyncio.get_running_loop().time() - self._opened_at,
            extra={"handler": self._queue},
        )


async def _do_others_wait(store: Store, queue: str, job: str) -> bool:
    """Tell whether another job than *job* is due in *queue*, as far as a look at the newest can tell."""
    now = await store.now()
    for state in (JobState.QUEUED, JobState.RUNNING):
        page = await store.jobs(queue=queue, state=state)
        if any(each.id != job and each.due_at <= now and each.counts.queued for each in page.jobs):
            return True
    return False
