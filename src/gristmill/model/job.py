"""Jobs: what was submitted to the durable queue, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gristmill.errors import ConfigurationError
from gristmill.model.numbers import is_number
from gristmill.model.texts import check_key

URGENT, LATEST = 0, 9
_DIGITS = 18  # more fit into no store's numbers
DEFAULT_PRIORITY = 4
AGING = 60.0
"""Seconds of waiting that outweigh one step of priority, so that old work never starves."""

_IDS = msgspec.json.Decoder(list[str | None])


class JobState(StrEnum):
    """Where a job is. The value is what routes, commands and stores say."""

    RECEIVING = "receiving"  # its items are still being uploaded
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"  # every item has its outcome, failed ones included
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more by itself."""
        return self in (JobState.COMPLETED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many items are where; the five always sum to ``total``.

    Attributes:
        total: Items of the job.
        queued: Not begun, or waiting for another attempt.
        running: In a batch that is leased by a worker.
        succeeded: Have a value.
        failed: Are dead, with a code.
        cancelled: Will not run.
    """

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


LONGEST = 1e10
"""Seconds that a job may wait, and a unique key be held: three hundred years."""
LAST_DUE = 1e11
"""Seconds of the epoch at which a job may be due at the latest: much later is no date any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """Makes a job the only one of its kind: a second one is answered with the first.

    Attributes:
        key: What must be unique within the queue.
        seconds: How long the key is held, from the enqueue; None until the job is final.
        fingerprint: Of what was submitted: a second submission under the same key with another fingerprint
            is a mistake, and told apart. None compares nothing.
    """

    key: str
    seconds: float | None = None
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        """Refuse, by ``ConfigurationError``, texts and times that no store can hold."""
        check_key("a unique key", self.key)
        if self.seconds is not None and not (is_number(self.seconds) and 0 <= self.seconds <= LONGEST):
            raise ConfigurationError(f"unique_for is seconds, 0 to {LONGEST:g}, not {self.seconds!r}")
        if self.fingerprint is not None:
            check_key("a fingerprint", self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be stored; its chunks are handed over beside it.

    Attributes:
        id: ``job_`` and 26 characters; made by the caller, so that a repeat can be told.
        queue: The handler's name.
        priority: 0 (urgent) to 9; each step is worth ``AGING`` seconds of waiting.
        delay: Seconds from now, on the store's clock, until its items are due.
        run_at: Instead of *delay*: when, in seconds of the epoch.
        unique: Refuses a second job of its kind.
        keep_results: Whether the values of its items are stored.
        ids: The caller's ids of its items, as ``ids_to_json`` writes them; None if it gave none.
    """

    id: str
    queue: str
    priority: int = DEFAULT_PRIORITY
    delay: float = 0.0
    run_at: float | None = None
    unique: Unique | None = None
    keep_results: bool = True
    ids: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what no store could keep its promise about."""
        priority: object = self.priority  # whatever was given
        if not isinstance(priority, int) or not URGENT <= priority <= LATEST:
            raise ConfigurationError(
                f"priority is a whole number from {URGENT} (urgent) to {LATEST}, not {self.priority!r}"
            )
        if not (is_number(self.delay) and 0 <= self.delay <= LONGEST):
            raise ConfigurationError(f"delay is seconds, 0 to {LONGEST:g}, not {self.delay!r}")
        if self.run_at is not None and not (is_number(self.run_at) and 0 <= self.run_at <= LAST_DUE):
            raise ConfigurationError(
                f"run_at is seconds of the epoch, 0 to {LAST_DUE:g}, not {self.run_at!r}"
            )

    def due_at(self, now: float) -> float:
        """Return when its items are due, by a store whose clock reads *now*."""
        return now + self.delay if self.run_at is None else max(now, self.run_at)


def ids_to_json(ids: Sequence[str | None]) -> bytes:
    """Return the callers' *ids* of a job's items, one or None for each place, as stores keep them."""
    return msgspec.json.encode(ids)


def ids_from_json(text: bytes | None) -> list[str | None]:
    """Return what ``ids_to_json`` took; an empty list for None."""
    return [] if text is None else _IDS.decode(text)


def rank_of(due_at: float, priority: int) -> float:
    """Return what due chunks are claimed in order of: time, with a head start for the urgent."""
    return due_at + priority * AGING


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What became of a submission.

    Attributes:
        job: The job's id; of an earlier one if that holds the unique key.
        created: Whether this submission made it.
        matches: Whether the fingerprint is that of the job that holds the key; True for a new job.
    """

    job: str
    created: bool
    matches: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands.

    Attributes:
        id: Its id.
        queue: The handler's name.
        state: Where it is.
        counts: How many of its items are where.
        priority: 0 (urgent) to 9.
        created_at: Seconds of the epoch, on the store's clock; the others too.
        due_at: When its first items are due.
        finished_at: When the last item got its outcome; None before.
    """

    id: str
    queue: str
    state: JobState
    counts: JobCounts
    priority: int
    created_at: float
    due_at: float
    finished_at: float | None


def state_of(counts: JobCounts, *, is_receiving: bool, is_cancelled: bool) -> JobState:
    """Return where a job is, by its counts and what was asked of it."""
    if is_receiving:
        return JobState.RECEIVING
    if counts.queued or counts.running:
        if is_cancelled:
            return JobState.CANCELLING
        touched = counts.running or counts.succeeded or counts.failed or counts.cancelled
        return JobState.RUNNING if touched else JobState.QUEUED
    return JobState.CANCELLED if is_cancelled else JobState.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some jobs, newest first; *cursor* asks for the next page, None at the end."""

    jobs: tuple[Job, ...]
    cursor: str | None


def page_number(cursor: str) -> int:
    """Return the number that the *cursor* of a page is.

    Raises:
        ConfigurationError: It is none.
    """
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS):
        raise ConfigurationError(f"{cursor!r} is no cursor: use that of a page that was read before")
    return int(cursor)
