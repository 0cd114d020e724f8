from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from gristmill.errors import ConfigurationError, StoreUnavailable, UnknownHandler
from gristmill.queue.schedule import Schedule, Scheduler

START = dt.datetime(2026, 3, 28, 12, 0, 30, tzinfo=dt.UTC).timestamp()


HOUR_THAT_COMES_TWICE = dt.datetime(2026, 10, 25, 1, 15, tzinfo=dt.UTC).timestamp()  # 1:15 again in London


class Clock:
    """A clock that only sleeping moves; ends the test after a while."""

    def __init__(self, at: float, until: float) -> None:
        self.at = at
        self.until = until

    async def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        if self.at > self.until:
            raise asyncio.CancelledError


def schedule(cron: str, **options: Any) -> Schedule:
    return Schedule(name="s", cron=cron, queue="numbers", items=[1], **options)


async def fired(schedules: list[Schedule], seconds: float, enqueue: Any = None) -> list[tuple[str, str]]:
    clock = Clock(START, START + seconds)
    found: list[tuple[str, str]] = []

    async def note(queue: str, items: Any, *, priority: int, unique: str, unique_for: float) -> None:
        if enqueue is not None:
            await enqueue(clock)
        found.append((queue, unique))

    with pytest.raises(asyncio.CancelledError):
        await Scheduler(schedules, note, clock.now, clock.sleep).serve()
    return found


async def test_a_schedule_fires_at_its_times_and_makes_up_for_the_last_minute() -> None:
    assert await fired([schedule("*/5 * * * *")], 700) == [
        ("numbers", f"cron:s:2026-03-28T12:{minute}:00+00:00") for minute in ("00", "05", "10")
    ]


@pytest.mark.parametrize(("cron", "hour"), [("30 1 * * *", 24 + 1), ("*/30 1 * * *", 1), ("0 5 * * *", 5)])
def test_in_an_hour_that_comes_twice_what_fires_next_is_not_what_fired_in_the_first(
    cron: str, hour: int
) -> None:
    found = schedule(cron, timezone="Europe/London").next_after(HOUR_THAT_COMES_TWICE)
    assert found > HOUR_THAT_COMES_TWICE
    midnight = dt.datetime(2026, 10, 25, tzinfo=dt.UTC).timestamp()
    assert int((found - midnight) / 3600) == hour


async def test_schedules_of_one_moment_all_fire() -> None:
    other = Schedule(name="t", cron="*/10 * * * *", queue="letters", items=list)
    found = await fired([schedule("*/5 * * * *"), other], 600)
    assert [queue for queue, _ in found] == ["numbers", "letters", "numbers", "numbers", "letters"]


async def test_a_store_that_is_away_for_a_moment_misses_no_firing() -> None:
    failures = 3

    async def away(_clock: Clock) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("away")

    assert len(await fired([schedule("*/5 * * * *")], 400, away)) == 2


@pytest.mark.parametrize(
    ("cron", "moments"),
    [
        ("*/5 * * * *", ["12:00", "15:00", "15:05"]),  # not the 35 between
        ("30 13 * * *", ["13:30"]),  # late, but it is the latest of its schedule
    ],
)
async def test_of_what_was_missed_in_an_outage_of_hours_the_latest_is_made_up_for(
    cron: str, moments: list[str]
) -> None:
    clock = Clock(START, START + 3 * 3600 + 300)
    found: list[str] = []

    async def note(_queue: str, _items: Any, *, unique: str, **_options: Any) -> None:
        found.append(unique)

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        if clock.at < START + 3600:
            clock.at = START + 3 * 3600 + 60  # the store was away, or the process stood still

    with pytest.raises(asyncio.CancelledError):
        await Scheduler([schedule(cron)], note, clock.now, sleep).serve()
    assert found == [f"cron:s:2026-03-28T{moment}:00+00:00" for moment in moments]


@pytest.mark.parametrize("error", [UnknownHandler("no"), KeyError("the key function of a handler")])
async def test_a_firing_that_was_refused_does_not_stop_the_next(error: Exception) -> None:
    calls = 0

    async def refuse(_clock: Clock) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error

    assert len(await fired([schedule("*/5 * * * *")], 400, refuse)) == 1


async def test_items_that_cannot_be_made_leave_one_firing_out() -> None:
    made = iter([ValueError("no"), None])

    def items() -> list[int]:
        problem = next(made)
        if problem:
            raise problem
        return [1]

    broken = Schedule(name="s", cron="*/5 * * * *", queue="numbers", items=items)
    assert len(await fired([broken], 400)) == 1


def test_local_time_skips_and_repeats_as_the_zone_does() -> None:
    berlin = schedule("30 2 * * *", timezone="Europe/Berlin")
    before = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC).timestamp()
    nights = []
    for _ in range(2):
        before = berlin.next_after(before)
        nights.append(dt.datetime.fromtimestamp(before, dt.UTC).isoformat())
    # On 29 March 2026 the clock goes from 2:00 to 3:00: the run of that night is not lost.
    assert nights[0].startswith("2026-03-29T01:")
    assert nights[1] == "2026-03-30T00:30:00+00:00"


@pytest.mark.parametrize("cron", ["", "* * * *", "61 * * * *", "a b c d e"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError, match="no cron expression"):
        schedule(cron)


def test_an_unknown_time_zone_and_a_name_given_twice_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        schedule("* * * * *", timezone="Mars/Base")
    with pytest.raises(ConfigurationError, match="two schedules"):
        Scheduler([schedule("* * * * *")] * 2, None, None)  # type: ignore[arg-type]  # never asked


async def test_of_many_workers_one_makes_the_job(mill: Any) -> None:
    jobs = mill.make()
    clock = Clock(START, START + 400)

    async def enqueue(queue: str, items: Any, **options: Any) -> None:
        await jobs.enqueue(queue, items, **options)

    workers = [Scheduler([schedule("*/5 * * * *")], enqueue, clock.now, clock.sleep) for _ in range(3)]
    await asyncio.gather(*(worker.serve() for worker in workers), return_exceptions=True)
    assert len((await jobs.list()).jobs) == 2
