"""Ids of jobs: ``job_`` and a ULID, so that they sort by the time they were made and cannot be guessed."""

from __future__ import annotations

import os
import re
import time

from gristmill.queue import forks

_DIGITS = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_OF_BYTE = _DIGITS * 8  # each digit stands for as many bytes as any other
_CHANCE = 16  # digits of an id
_POOL = 500 * _CHANCE
_SHIFTS = range(45, -1, -5)  # of the digits of its time
_JOB = re.compile(r"job_[0-9A-HJKMNP-TV-Z]{26}")


class JobIds:
    """Makes ids that no other job has: 48 bits of milliseconds, 80 of chance.

    Asking the system for chance costs more than the rest of an enqueue where
    threads compete, so it is asked for five hundred ids at once.
    """

    def __init__(self) -> None:
        self._pool = ""
        self._used = 0
        self._generation = 0
        self._time = 0
        self._head = ""

    def new(self) -> str:
        """Return an id; also after a fork, whose sides must not share their chance."""
        used = self._used
        if used == len(self._pool) or self._generation != forks.generation:
            self._generation = forks.generation
            self._pool = os.urandom(_POOL).translate(_OF_BYTE).decode()
            used = 0
        self._used = used + _CHANCE
        now = time.time_ns() // 1_000_000
        if now != self._time:
            self._time = now
            self._head = "job_" + bytes(_DIGITS[now >> shift & 31] for shift in _SHIFTS).decode()
        return self._head + self._pool[used : used + _CHANCE]


def is_job_id(text: str) -> bool:
    """Tell whether *text* has the form of a job's id."""
    return _JOB.fullmatch(text) is not None
