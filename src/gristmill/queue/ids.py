"""Ids of jobs: ``job_`` and a ULID, so that they sort by the time they were made and cannot be guessed."""

from __future__ import annotations

import os
import re
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_JOB = re.compile(r"job_[0-9A-HJKMNP-TV-Z]{26}")


def new_job_id() -> str:
    """Return an id that no other job has: 48 bits of milliseconds, 80 of chance."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    return "job_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_job_id(text: str) -> bool:
    """Tell whether *text* has the form of a job's id."""
    return _JOB.fullmatch(text) is not None
