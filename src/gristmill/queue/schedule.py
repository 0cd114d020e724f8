"""Cron schedules: each firing is a job under a unique key, so that of many machines one makes it.

No leader and no lock: every worker knows when a schedule fires next, and
enqueues then; the store takes the first and answers the others with it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gristmill.errors import ConfigurationError, StoreError

_LOG = logging.getLogger("gristmill.queue")
_GRACE = 60.0
"""Seconds after its time within which a firing is made up for."""
MADE_UP_FOR = 3 * _GRACE
"""Seconds after which it is certain that nobody who starts makes up for a firing."""
_HELD = 86_400.0
"""Seconds for which the key of a firing is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Items that are enqueued again and again.

    Args:
        name: Names the schedule in its jobs' unique keys: unique in the App.
        cron: Five fields, as in crontab: ``"*/5 * * * *"``; six with seconds first.
        queue: The handler's name.
        items: Enqueued at each firing; a function is called for them.
        timezone: IANA name of the time zone of *cron*; UTC by default.
        priority: As for ``enqueue``.

    Raises:
        ConfigurationError: *cron* or *timezone* cannot be read.
    """

    name: str
    cron: str
    queue: str
    items: Sequence[Any] | Callable[[], Sequence[Any]]
    timezone: str = "UTC"
    priority: int = 4

    def __post_init__(self) -> None:
        """Refuse what would never fire."""
        self.next_after(0.0)

    def next_after(self, at: float) -> float:
        """Return when it fires next after *at*, both in seconds of the epoch."""
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(f"schedule {self.name}: no time zone {self.timezone!r}") from error
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - the optional extra of this module

        try:
            times = CronSim(self.cron, dt.datetime.fromtimestamp(at, zone))
            # Within an hour that comes twice, the first time may be that of the hour before.
            return next(moment for moment in (time.timestamp() for time in times) if moment > at)
        except (CronSimError, StopIteration) as error:
            raise ConfigurationError(
                f"schedule {self.name}: {self.cron!r} is no cron expression: {error}"
            ) from error

    def made(self) -> Sequence[Any]:
        """Return the items of one firing."""
        return self.items() if callable(self.items) else self.items


class Enqueue(Protocol):
    """Stores the job of a firing."""

    def __call__(
        self, queue: str, items: Sequence[Any], *, priority: int, unique: str, unique_for: float
    ) -> Awaitable[Any]:
        """Enqueue *items* under the unique key *unique*."""


class Scheduler:
    """Fires schedules.

    Args:
        schedules: Their names differ.
        enqueue: Stores the jobs.
        now: The store's clock.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        enqueue: Enqueue,
        now: Callable[[], Awaitable[float]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        names = [schedule.name for schedule in schedules]
        if len(set(names)) < len(names):
            raise ConfigurationError(f"two schedules have one name: {', '.join(sorted(names))}")
        self._schedules = schedules
        self._enqueue = enqueue
        self._now = now
        self._sleep = sleep

    async def serve(self) -> None:
        """Fire until cancelled; at the start, what was missed in the last minute, and nothing older.

        Of what was missed later, because the store was away or the process stood still, the latest is: a
        firing whose next one has been missed for a minute too is left out, so that an outage of hours is not
        followed by hundreds at once.
        """
        now = await self._clock()
        at = now - _GRACE
        while True:
            due = {schedule.name: schedule.next_after(at) for schedule in self._schedules}
            if not due:
                return
            at = min(due.values())
            while now < at:
                await self._sleep(min(30.0, at - now))
                now = await self._clock()
            for schedule in self._schedules:
                if due[schedule.name] != at:
                    continue
                if schedule.next_after(at) <= now - _GRACE:
                    _LOG.info("schedule %s: that of %s and the next were missed", schedule.name, _iso(at))
                else:
                    await self._fire(schedule, at)

    async def _clock(self) -> float:
        while True:
            try:
                return await self._now()
            except StoreError as error:
                _LOG.warning("the clock of the store cannot be read, and is asked again: %s", error)
                await self._sleep(1.0)

    async def _fire(self, schedule: Schedule, at: float) -> None:
        moment = _iso(at)
        try:
            items = schedule.made()
        except Exception:  # noqa: BLE001 - the user's own function: the other schedules go on
            _LOG.exception("schedule %s: its items could not be made; this firing is left out", schedule.name)
            return
        while True:
            try:
                await self._enqueue(
                    schedule.queue,
                    items,
                    priority=schedule.priority,
                    unique=f"cron:{schedule.name}:{moment}",
                    unique_for=_HELD,
                )
            except StoreError as error:
                if await self._clock() > at + _GRACE:
                    _LOG.error("schedule %s: the firing of %s was missed: %s", schedule.name, moment, error)
                    return
                await self._sleep(1.0)
            except Exception:  # noqa: BLE001 - of our own, or of a function of the handler's, such as its key
                _LOG.exception("schedule %s: the firing of %s was refused", schedule.name, moment)
                return
            else:
                return


def _iso(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()
