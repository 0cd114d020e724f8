"""The keywords of ``enqueue``, for those who pass them on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypedDict


class EnqueueOptions(TypedDict, total=False):
    """What ``Jobs.enqueue`` takes beside the handler and its items; its docstring tells what each means."""

    priority: int
    delay: float
    run_at: float | dt.datetime | None
    key: str | None
    ids: Sequence[str | None] | None
    unique: str | None
    unique_for: float | None
    fingerprint: str | None
    keep_results: bool
    connection: Any
