"""The limits of the HTTP face. Every default is told in ``GET /v1/{name}``, so clients can keep to them."""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.errors import ConfigurationError

MIB = 1 << 20
_COUNTS = ("item_bytes", "batch_bytes", "batch_items", "job_bytes", "job_items", "depth", "ratio",
           "held_answers", "held_bytes")  # fmt: skip
_SECONDS = ("body_timeout", "idle_timeout", "longest_wait", "held_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one request may cost.

    Attributes:
        item_bytes: JSON of one item, in bytes; also the whole body of a single
            item and one line of a stream.
        batch_bytes: Body of one batch, in bytes, after decompression.
        batch_items: Items in one batch.
        job_bytes: Body of one job in JSON lines or CSV, in bytes, after decompression.
            It is stored as it comes. A job in JSON is read whole: ``batch_bytes``.
        job_items: Items of one job.
        depth: Arrays and objects inside each other, counted from the body's
            outermost one.
        ratio: Decompressed bytes per compressed byte, for bodies that
            decompress to more than 1 MiB. Above it lie bombs, not data.
        body_timeout: Seconds from the first look at a body to its last byte.
        longest_wait: Seconds that ``Prefer: wait=N`` waits for a job at the most.
        idle_timeout: Seconds a stream or the body of a job may go without a byte in, or without the
            caller taking a byte out.
        held_seconds: How long the answer to a request with an ``Idempotency-Key`` is kept, for its repeat.
        held_answers: How many answers are kept; the oldest one goes first.
        held_bytes: Bytes of them all; an answer that is larger alone is not kept.
        strict_keys: Refuse objects that have a key twice; otherwise the last
            one wins. Costs a second, slower parse of every body.
    """

    item_bytes: int = MIB
    batch_bytes: int = 8 * MIB
    batch_items: int = 1_000
    job_bytes: int = 200 * MIB
    job_items: int = 100_000
    depth: int = 64
    ratio: int = 100
    body_timeout: float = 30.0
    idle_timeout: float = 60.0
    longest_wait: float = 60.0
    held_seconds: float = 300.0
    held_answers: int = 10_000
    held_bytes: int = 32 * MIB
    strict_keys: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that nothing could pass."""
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name} must be a whole number of 1 or more, not {value!r}")
        for name in _SECONDS:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}")
