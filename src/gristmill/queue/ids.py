"""Ids of jobs: ``job_`` and a ULID, so that they sort by the time they were made and cannot be guessed."""

from __future__ import annotations

import base64
import os
import re
import time

_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_LENGTH = 26
_JOB = re.compile(r"job_[0-9A-HJKMNP-TV-Z]{26}")
_CHANCE = 10  # bytes of an id
_POOL = 500 * _CHANCE


class JobIds:
    """Makes ids that no other job has: 48 bits of milliseconds, 80 of chance.

    Asking the system for chance costs more than the rest of an enqueue where
    threads compete, so it is asked for five hundred ids at once.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._pid = 0

    def new(self) -> str:
        """Return an id; also after a fork, whose sides must not share their chance."""
        if not self._pool or self._pid != os.getpid():
            self._pid = os.getpid()
            self._pool = os.urandom(_POOL)
        chance, self._pool = self._pool[:_CHANCE], self._pool[_CHANCE:]
        number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(chance, "big")
        text = base64.b32encode(number.to_bytes(20, "big")).translate(_CROCKFORD)
        return "job_" + text[-_LENGTH:].decode()


def is_job_id(text: str) -> bool:
    """Tell whether *text* has the form of a job's id."""
    return _JOB.fullmatch(text) is not None
